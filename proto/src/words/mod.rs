//! The vocabulary of the field and of the design, as types that cannot hold nonsense.
//!
//! Every identifier is a newtype; bytes from outside become one of these through a checked constructor. Nothing here
//! knows of time, sockets, disks or Protobuf.

mod binding;
mod duid;
mod ids;
mod prefix;

pub use binding::{BindingKey, IaKind};
pub use duid::{Duid, DuidError};
pub use ids::{
    Epoch, FrontendId, Iaid, InvalidName, LinkId, LogIndex, PoolId, RangeId, RelationshipId, UpdateSeq,
};
pub use prefix::{Prefix, PrefixError};
