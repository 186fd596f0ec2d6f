//! A vector with holes: values keep their number while they live, and numbers are used again.
//!
//! Half the size of pointers: a million leases refer to one another by these.

/// No value.
pub(super) const NONE: u32 = u32::MAX;

/// Values by number.
pub(super) struct Slab<T> {
    items: Vec<Option<T>>,
    holes: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { items: Vec::new(), holes: Vec::new() }
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(at) = self.holes.pop() {
            self.items[at as usize] = Some(value);
            return at;
        }
        let at =
            u32::try_from(self.items.len()).expect("2^32 leases do not fit into the memory of one machine");
        self.items.push(Some(value));
        at
    }

    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        let value = self.items.get_mut(at as usize)?.take();
        if value.is_some() {
            self.holes.push(at);
        }
        value
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.items.get(at as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.items.get_mut(at as usize)?.as_mut()
    }

    /// Values alive.
    pub(super) fn len(&self) -> usize {
        self.items.len() - self.holes.len()
    }

    /// One above the highest number ever used.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.items.len()).unwrap_or(NONE)
    }

    /// Lets go of up to `count` values from the end; numbers are not to be used any more afterwards. True when
    /// nothing is left.
    pub(super) fn crumble(&mut self, count: usize) -> bool {
        self.holes = Vec::new();
        let keep = self.items.len().saturating_sub(count);
        self.items.truncate(keep);
        keep == 0
    }
}
