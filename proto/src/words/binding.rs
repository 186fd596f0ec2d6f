//! What one IA of one client holds on one link is named by this key (SV-107, RFC 8987 §4.1 G-4).

use super::{Duid, Iaid, LinkId};

/// The kind of an identity association. IAID spaces of the two kinds are separate (RFC 9915 §12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IaKind {
    /// IA_NA: addresses.
    Na,
    /// IA_PD: delegated prefixes.
    Pd,
}

/// Names a binding: (link, DUID, IA type, IAID). The link is in the key so that a roaming client or a cloned DUID
/// does no harm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BindingKey {
    /// Where the client attaches.
    pub link: LinkId,
    /// The client.
    pub duid: Duid,
    /// Which IAID space.
    pub kind: IaKind,
    /// The client's number for the IA.
    pub iaid: Iaid,
}
