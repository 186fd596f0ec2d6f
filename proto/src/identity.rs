//! Who a node is, and who is calling.
//!
//! Owns: the identity that stands in a certificate (`leasehold://CLUSTER/ROLE/NAME`), the roles, and the check of
//! a caller's role in a gRPC handler. Refuses to know: certificates, files and sockets (module `tls` reads the
//! identity out of a verified certificate and attaches it to each request).
//!
//! Invariants: an [`Identity`] holds only strict names, so it can be logged, compared and used in file names as it
//! is; a request that did not come through `tls::listen` has no caller and is always refused.
//! Source: RFC 7031 §8 (partners identify and authenticate each other).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use tonic::{Request, Status};

/// Scheme and separator that every identity starts with.
const SCHEME: &str = "leasehold://";

/// Longest cluster or node name, in bytes.
pub const MAX_NAME_LENGTH: usize = 63;

/// What a certificate's holder may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A node of the lease store.
    Store,
    /// A DHCPv6 frontend.
    Frontend,
    /// A person or program that may change things.
    Admin,
    /// A person or program that may only look.
    Viewer,
}

impl Role {
    /// All roles, in the order in which they are listed to people.
    pub const ALL: [Self; 4] = [Self::Store, Self::Frontend, Self::Admin, Self::Viewer];

    /// The role's word in an identity and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Frontend => "frontend",
            Self::Admin => "admin",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| IdentityError::UnknownRole { given: text.to_owned() })
    }
}

/// Why a text or a certificate gives no usable identity, or not the wanted one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The text is not `leasehold://CLUSTER/ROLE/NAME`.
    #[error("`{given}` is not an identity: write leasehold://CLUSTER/ROLE/NAME")]
    Malformed {
        /// The text as found.
        given: String,
    },
    /// The role is none of the four.
    #[error("`{given}` is not a role: use store, frontend, admin or viewer")]
    UnknownRole {
        /// The text as found.
        given: String,
    },
    /// A cluster or node name is not strict.
    #[error(
        "{what} `{given}` is not usable: use 1 to 63 characters out of lowercase letters, digits, `-` and `.`"
    )]
    BadName {
        /// `cluster name` or `node name`.
        what: &'static str,
        /// The text as found.
        given: String,
    },
    /// The certificate cannot be read at all.
    #[error("the certificate cannot be read: {detail}")]
    Unreadable {
        /// What the parser said.
        detail: String,
    },
    /// The certificate has no identity.
    #[error("the certificate carries no leasehold:// identity: issue it with `leasehold certs issue`")]
    Missing,
    /// The certificate has several identities.
    #[error("the certificate carries more than one leasehold:// identity: issue one certificate per node")]
    Ambiguous,
    /// The peer belongs to another cluster.
    #[error("{peer} belongs to cluster `{theirs}`, but this is cluster `{ours}`")]
    WrongCluster {
        /// Our cluster's name.
        ours: String,
        /// The peer's cluster's name.
        theirs: String,
        /// The peer's whole identity.
        peer: String,
    },
    /// The server reached is not the one that was wanted.
    #[error("reached {found}, but wanted {wanted}")]
    UnexpectedServer {
        /// What was wanted, as an identity; `*` stands for any name.
        wanted: String,
        /// The identity that the server proved.
        found: String,
    },
}

/// A node's or a person's identity within one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    cluster: String,
    role: Role,
    name: String,
}

impl Identity {
    /// Puts an identity together.
    ///
    /// # Errors
    /// [`IdentityError::BadName`] if the cluster or the name is not strict (see [`MAX_NAME_LENGTH`]).
    pub fn new(
        cluster: impl Into<String>,
        role: Role,
        name: impl Into<String>,
    ) -> Result<Self, IdentityError> {
        let (cluster, name) = (cluster.into(), name.into());
        check_name("cluster name", &cluster)?;
        check_name("node name", &name)?;
        Ok(Self { cluster, role, name })
    }

    /// The cluster that the holder belongs to.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What the holder may do.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The holder's name, unique within cluster and role.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Checks a cluster or node name: 1 to 63 of lowercase letters, digits, `-`, `.`.
///
/// # Errors
/// [`IdentityError::BadName`], with `what` as the name's kind.
pub fn check_name(what: &'static str, name: &str) -> Result<(), IdentityError> {
    let strict = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    if (1..=MAX_NAME_LENGTH).contains(&name.len()) && name.bytes().all(strict) {
        return Ok(());
    }
    Err(IdentityError::BadName { what, given: name.to_owned() })
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.cluster, self.role, self.name)
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let malformed = || IdentityError::Malformed { given: text.to_owned() };
        let mut parts = text.strip_prefix(SCHEME).ok_or_else(malformed)?.split('/');
        let (Some(cluster), Some(role), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed());
        };
        Self::new(cluster, role.parse()?, name)
    }
}

/// Picks the one identity out of a certificate's URI names; names of other schemes are left alone.
///
/// # Errors
/// [`IdentityError::Missing`], [`IdentityError::Ambiguous`], or what is wrong with the one found.
pub fn identity_among<'a>(uris: impl IntoIterator<Item = &'a str>) -> Result<Identity, IdentityError> {
    let mut ours = uris.into_iter().filter(|uri| uri.starts_with(SCHEME));
    let first = ours.next().ok_or(IdentityError::Missing)?;
    if ours.next().is_some() {
        return Err(IdentityError::Ambiguous);
    }
    first.parse()
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Proved by a certificate that our authority signed.
    Authenticated(Arc<Identity>),
    /// Plain text on a loopback address, asked for with `insecure_loopback = true`: anyone on this host. Every role
    /// check passes, because whoever asked for plain text asked for that.
    InsecureLoopback,
}

impl Caller {
    /// The proven identity; `None` in plain text.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Authenticated(identity) => Some(identity),
            Self::InsecureLoopback => None,
        }
    }

    /// Refuses a caller that speaks for somebody else: a frontend can act only as itself. Passes in plain text.
    ///
    /// # Errors
    /// `PermissionDenied`, naming both.
    pub fn require_self(&self, role: Role, name: &str) -> Result<(), Status> {
        match self.identity() {
            Some(identity) if identity.role() != role || identity.name() != name => {
                Err(Status::permission_denied(format!(
                    "{identity} may not act as {role} `{name}`: use that node's own certificate"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// What `tls::listen` attaches to each request of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The peer's transport address.
    pub address: SocketAddr,
    /// Who the peer is.
    pub caller: Caller,
}

/// The identity that the caller of a request has proved; `None` in plain text, and if the request came some other
/// way than through `tls::listen`. To authorise, use [`require_role`], which tells these two apart.
#[must_use]
pub fn caller<T>(request: &Request<T>) -> Option<&Identity> {
    request.extensions().get::<PeerInfo>().and_then(|peer| peer.caller.identity())
}

/// Authorises a request by the role of its caller. In plain text on loopback it passes.
///
/// # Errors
/// `Unauthenticated` if the request did not come through `tls::listen`; `PermissionDenied`, naming the caller and
/// the roles that may, otherwise.
pub fn require_role<T>(request: &Request<T>, allowed: &[Role]) -> Result<Caller, Status> {
    let Some(peer) = request.extensions().get::<PeerInfo>() else {
        return Err(Status::unauthenticated("this connection proved no identity"));
    };
    match peer.caller.identity() {
        Some(identity) if !allowed.contains(&identity.role()) => {
            let roles: Vec<&str> = allowed.iter().map(|role| role.as_str()).collect();
            Err(Status::permission_denied(format!(
                "{identity} may not do this: it needs a certificate of role {}",
                roles.join(" or ")
            )))
        }
        _ => Ok(peer.caller.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(caller: Option<Caller>) -> Request<()> {
        let mut request = Request::new(());
        if let Some(caller) = caller {
            let address = "[::1]:9".parse().unwrap();
            request.extensions_mut().insert(PeerInfo { address, caller });
        }
        request
    }

    fn authenticated(role: Role, name: &str) -> Caller {
        Caller::Authenticated(Arc::new(Identity::new("berlin", role, name).unwrap()))
    }

    #[test]
    fn an_identity_survives_its_text() {
        for role in Role::ALL {
            let identity = Identity::new("berlin", role, "node-1.a").unwrap();
            assert_eq!(identity.to_string().parse::<Identity>().unwrap(), identity);
        }
        assert_eq!(Identity::new("c", Role::Frontend, "a").unwrap().to_string(), "leasehold://c/frontend/a");
    }

    #[test]
    fn names_are_strict() {
        let long = "a".repeat(MAX_NAME_LENGTH + 1);
        for bad in ["", "A", "a b", "a_b", "ü", "a/b", "*", long.as_str()] {
            assert!(
                matches!(Identity::new("c", Role::Store, bad), Err(IdentityError::BadName { .. })),
                "{bad}"
            );
            assert!(
                matches!(Identity::new(bad, Role::Store, "n"), Err(IdentityError::BadName { .. })),
                "{bad}"
            );
        }
        assert!(Identity::new("c", Role::Store, "a".repeat(MAX_NAME_LENGTH)).is_ok());
    }

    #[test]
    fn texts_that_are_no_identity_are_refused() {
        for bad in
            ["", "http://c/store/n", "leasehold://c/store", "leasehold://c/store/n/", "leasehold:/c/store/n"]
        {
            assert!(matches!(bad.parse::<Identity>(), Err(IdentityError::Malformed { .. })), "{bad}");
        }
        assert!(matches!("leasehold://c/king/n".parse::<Identity>(), Err(IdentityError::UnknownRole { .. })));
        assert_eq!(identity_among(["https://x"]), Err(IdentityError::Missing));
        assert_eq!(
            identity_among(["leasehold://c/store/a", "leasehold://c/store/b"]),
            Err(IdentityError::Ambiguous)
        );
    }

    #[test]
    fn fo_301_a_role_is_required_and_its_refusal_says_why() {
        let admin = request(Some(authenticated(Role::Admin, "eve")));
        assert_eq!(caller(&admin).unwrap().name(), "eve");
        assert!(require_role(&admin, &[Role::Admin, Role::Viewer]).is_ok());
        let refused = require_role(&admin, &[Role::Store]).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        assert!(refused.message().contains("admin/eve") && refused.message().contains("store"), "{refused}");
    }

    #[test]
    fn plain_text_passes_and_an_unknown_way_in_does_not() {
        let plain = request(Some(Caller::InsecureLoopback));
        assert_eq!(caller(&plain), None);
        assert!(require_role(&plain, &[Role::Store]).unwrap().require_self(Role::Store, "x").is_ok());
        assert_eq!(
            require_role(&request(None), &[Role::Store]).unwrap_err().code(),
            tonic::Code::Unauthenticated
        );
    }

    #[test]
    fn a_frontend_acts_only_as_itself() {
        let frontend = authenticated(Role::Frontend, "fe-a");
        assert!(frontend.require_self(Role::Frontend, "fe-a").is_ok());
        assert!(frontend.require_self(Role::Frontend, "fe-b").is_err());
        assert!(frontend.require_self(Role::Store, "fe-a").is_err());
    }
}
