//! dhcproto as a second opinion, on the options that it types and encodes rightly.
//!
//! Left out: Vendor Class, whose lengths it gets wrong, and whatever it holds as unknown octets.

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, DhcpOptions, NtpSuboption, UnknownOption, VendorOpts};
use dhcproto::{Decodable, Decoder, Encodable};

use super::*;

/// The data as dhcproto encodes it, without code and length.
fn theirs(option: &DhcpOption) -> Vec<u8> {
    option.to_vec().unwrap()[4..].to_vec()
}

/// What dhcproto reads from the data.
fn read(code: u16, data: &[u8]) -> DhcpOption {
    let mut wire = code.to_be_bytes().to_vec();
    wire.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    wire.extend(data);
    DhcpOption::decode(&mut Decoder::new(&wire)).unwrap()
}

#[test]
fn op_02_dhcproto_encodes_the_same() {
    let addresses: Vec<Ipv6Addr> = vec!["2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()];
    let dns = sent("dns_servers", &texts(["2001:db8::1", "2001:db8::2"]));
    assert_eq!(dns, [theirs(&DhcpOption::DomainNameServers(addresses))]);

    let refresh = sent("information_refresh_time", &number(86_400));
    assert_eq!(refresh, [theirs(&DhcpOption::InformationRefreshTime(86_400))]);

    let ntp = sent(
        "ntp_servers",
        &list([table([("address", text("2001:db8::1"))]), table([("multicast", text("ff05::101"))])]),
    );
    let theirs_ntp = ["2001:db8::1", "ff05::101"].map(|address| {
        let address: Ipv6Addr = address.parse().unwrap();
        let sub = if address.is_multicast() {
            NtpSuboption::MulticastAddress(address)
        } else {
            NtpSuboption::ServerAddress(address)
        };
        theirs(&DhcpOption::NtpServer(vec![sub]))
    });
    assert_eq!(ntp, theirs_ntp);

    let opts: DhcpOptions = [(32, b"tftp".to_vec()), (37, vec![1, 2])]
        .into_iter()
        .map(|(code, data)| DhcpOption::Unknown(UnknownOption::new(code.into(), data)))
        .collect();
    let vendor = table([("4491", table([("37", text("0x0102")), ("32", text("tftp"))]))]);
    assert_eq!(
        sent("vendor_options", &vendor),
        [theirs(&DhcpOption::VendorOpts(VendorOpts { num: 4491, opts }))]
    );
}

#[test]
fn op_02_dhcproto_reads_names_as_they_were_written() {
    let search = sent("domain_search", &texts(["example.org", "a.example.org"]));
    let DhcpOption::DomainSearchList(names) = read(24, &search[0]) else { panic!("not a search list") };
    let names: Vec<String> =
        names.iter().map(|name| name.to_string().trim_end_matches('.').to_owned()).collect();
    assert_eq!(names, ["example.org", "a.example.org"]);

    let ntp = sent("ntp_servers", &list([table([("name", text("ntp.example.org"))])]));
    let DhcpOption::NtpServer(servers) = read(56, &ntp[0]) else { panic!("not time servers") };
    let [NtpSuboption::FQDN(name)] = &servers[..] else { panic!("{servers:?}") };
    assert_eq!(name.to_string().trim_end_matches('.'), "ntp.example.org");
}
