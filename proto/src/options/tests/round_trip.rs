//! Values of any type: what is written is sent, read and sent again as it was.

use super::*;
use crate::options::grammar::{Field, SubOption, Type};
use crate::v1::OptionDefinition;
use proptest::prelude::*;

/// The text of a type, as operators write it; not every one can be.
fn type_text() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        Just("u8".to_owned()),
        Just("u16(3..900)".to_owned()),
        Just("bool".to_owned()),
        Just("empty".to_owned()),
        Just("address".to_owned()),
        Just("prefix".to_owned()),
        Just("name".to_owned()),
        Just("string".to_owned()),
        Just("opaque".to_owned()),
        Just("u8*".to_owned()),
    ];
    plain.prop_recursive(4, 12, 3, |inner| {
        let fields = proptest::collection::vec(inner.clone(), 1..4);
        let sub_options = proptest::collection::vec((inner.clone(), 0usize..4), 0..4);
        prop_oneof![
            (inner.clone(), 0usize..2).prop_map(|(inner, some)| format!("({inner}){}", ["*", "+"][some])),
            (inner, 0usize..2).prop_map(|(inner, len)| format!("{}({inner})", ["len8", "len16"][len])),
            (fields, any::<bool>(), 0usize..4)
                .prop_map(|(fields, named, required)| record(&fields, named, required)),
            (sub_options, any::<bool>()).prop_map(|(subs, one)| braces(&subs, one)),
        ]
    })
}

/// A record whose fields are optional from the one at `required` on.
fn record(fields: &[String], named: bool, required: usize) -> String {
    let field = |(i, ty): (usize, &String)| if named { format!("f{i}: {ty}") } else { ty.clone() };
    let fields: Vec<String> = fields.iter().enumerate().map(field).collect();
    let (needed, optional) = fields.split_at(required.min(fields.len()));
    let comma = if needed.is_empty() || optional.is_empty() { "" } else { ", " };
    let optional =
        if optional.is_empty() { String::new() } else { format!("{comma}[{}]", optional.join(", ")) };
    format!("({}{optional})", needed.join(", "))
}

fn braces(subs: &[(String, usize)], one: bool) -> String {
    let sub = |(i, (ty, count)): (usize, &(String, usize))| {
        format!("{} s{i}{}: {ty}", i + 1, ["", "!", "*", "+"][*count])
    };
    let subs: Vec<String> = subs.iter().enumerate().map(sub).collect();
    format!("{}{{{}}}", if one { "one" } else { "" }, subs.join(", "))
}

/// Chooses among values, by numbers that come from without; 0 once these are used up.
struct Chooser<'c>(std::slice::Iter<'c, u8>);

impl Chooser<'_> {
    fn below(&mut self, bound: u8) -> u8 {
        self.0.next().map_or(0, |choice| choice % bound)
    }

    fn many(&mut self, least: u8, mut one: impl FnMut(&mut Self) -> Value) -> Value {
        let count = least + self.below(3);
        list((0..count).map(|_| one(self)).collect::<Vec<_>>())
    }

    /// A value of a type.
    fn value(&mut self, ty: &Type) -> Value {
        match ty {
            Type::Unsigned { min, .. } => number(u64::from(*min) + u64::from(self.below(100))),
            Type::Bool => Value::Bool(self.below(2) == 1),
            Type::Empty => Value::Bool(true),
            Type::Address => text(["::", "2001:db8::1"][usize::from(self.below(2))]),
            Type::Ipv4 => text("192.0.2.1"),
            Type::Prefix => text(["::/0", "2001:db8::/33", "2001:db8::1/128"][usize::from(self.below(3))]),
            Type::Prefix4 => text("192.0.2.0/24"),
            Type::Name => text(["a", "b.example"][usize::from(self.below(2))]),
            Type::String => text(["a", "0x"][usize::from(self.below(2))]),
            Type::Opaque => text(["", "0x3078", "0x00"][usize::from(self.below(3))]),
            Type::List { item, some } => self.many(u8::from(*some), |chooser| chooser.value(item)),
            Type::Sized { inner, .. } => self.value(inner),
            Type::Record { fields, required } => self.record(fields, *required),
            Type::SubOptions { known, one } => self.sub_options(known, *one),
        }
    }

    fn record(&mut self, fields: &[Field], required: usize) -> Value {
        let count = if self.below(2) == 0 { fields.len() } else { required };
        let named = fields.iter().any(|field| field.name.is_some());
        let values = fields[..count].iter().map(|field| (field.name.clone(), self.value(&field.ty)));
        let values: Vec<_> = values.collect();
        if named {
            Value::Table(values.into_iter().filter_map(|(name, value)| Some((name?, value))).collect())
        } else {
            list(values.into_iter().map(|(_, value)| value))
        }
    }

    fn sub_options(&mut self, known: &[SubOption], one: bool) -> Value {
        let chosen = usize::from(self.below(4));
        let mut entries = Vec::new();
        for (i, sub) in known.iter().enumerate() {
            let wanted = if one { i == chosen % known.len() } else { self.below(2) == 1 };
            if wanted || sub.count.is_required() {
                let least = u8::from(sub.count.is_required() || one);
                let value = if sub.count.is_list() {
                    self.many(least, |chooser| chooser.value(&sub.ty))
                } else {
                    self.value(&sub.ty)
                };
                entries.push((sub.name.clone(), value));
            }
        }
        if !one && self.below(2) == 1 {
            entries.push(("900".to_owned(), texts(["a", "0x00"])));
        }
        Value::Table(entries)
    }
}

#[test]
fn op_02_what_is_empty_inside_a_value_is_sent_and_read() {
    let cases = [
        ("labels: len8(u8*), id: u16", table([("labels", list([])), ("id", number(1))]), "00 0001"),
        ("id: u16, [labels: len8(u8*)]", table([("id", number(1)), ("labels", list([]))]), "0001 00"),
        ("sub: (c: u8*)", table([("sub", table([("c", list([]))]))]), ""),
        ("sub: len8({1 a: u8})", table([("sub", table([]))]), "00"),
        ("[n: len8(u8*), m: u8]", table([("n", list([])), ("m", number(2))]), "00 02"),
    ];
    for (ty, value, expected) in cases {
        let definition =
            OptionDefinition { name: "own".to_owned(), code: 250, r#type: ty.to_owned(), enterprise: None };
        let dictionary = Dictionary::new(&[definition]).unwrap();
        let instances = dictionary.encode("own", &value).unwrap();
        assert_eq!(instances[0].data, hex(expected), "{ty}");
        assert_eq!(dictionary.check(250, &instances[0].data), Ok(()), "{ty}");
        let Written { named, raw } = dictionary.decode(&instances);
        assert_eq!((named.len(), raw.len()), (1, 0), "{ty}");
        assert_eq!(dictionary.encode("own", &named[0].1), Ok(instances), "{ty}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        max_global_rejects: 100_000,
        ..ProptestConfig::with_cases(2000)
    })]

    #[test]
    fn op_02_what_is_written_is_sent_read_and_sent_again_as_it_was(
        ty in type_text(),
        choices in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        // Not every text is a type, and one of the sub-options may have to be there beside the one that may.
        let Ok(ty) = Type::parse(&ty) else { return Err(TestCaseError::reject("no type")) };
        let value = Chooser(choices.iter()).value(&ty);
        let Ok(sent) = encode(&ty, &value) else { return Err(TestCaseError::reject("no value")) };
        let read = decode(&ty, &sent).map_err(|error| TestCaseError::fail(format!("{value:?}: {error}")))?;
        prop_assert_eq!(encode(&ty, &read), Ok(sent), "{:?} read as {:?}", value, read);
    }
}
