//! The secret, and orders to ask clients.

use super::{ConvertError, need};
use crate::reconfigure::{ReconfigureMessage, ReconfigureOrder, ReconfigureSecret, ReconfigureWhom};
use crate::v1;
use crate::v1::reconfigure_whom::Whom;
use crate::words::{Duid, LinkId, PoolId};

impl From<&ReconfigureSecret> for v1::ReconfigureSecret {
    fn from(secret: &ReconfigureSecret) -> Self {
        Self { octets: secret.expose().to_vec() }
    }
}

impl TryFrom<&v1::ReconfigureSecret> for ReconfigureSecret {
    type Error = ConvertError;

    fn try_from(raw: &v1::ReconfigureSecret) -> Result<Self, ConvertError> {
        let octets = raw.octets.as_slice().try_into();
        octets.map(Self::new).map_err(|_| ConvertError::SecretLength("reconfigure_secret", raw.octets.len()))
    }
}

impl From<ReconfigureMessage> for v1::ReconfigureMessage {
    fn from(message: ReconfigureMessage) -> Self {
        match message {
            ReconfigureMessage::Renew => Self::Renew,
            ReconfigureMessage::Rebind => Self::Rebind,
            ReconfigureMessage::InformationRequest => Self::InformationRequest,
        }
    }
}

/// What clients are asked for.
///
/// # Errors
/// When it is none of the three messages.
pub fn reconfigure_message(raw: i32) -> Result<ReconfigureMessage, ConvertError> {
    Ok(match v1::ReconfigureMessage::try_from(raw) {
        Ok(v1::ReconfigureMessage::Renew) => ReconfigureMessage::Renew,
        Ok(v1::ReconfigureMessage::Rebind) => ReconfigureMessage::Rebind,
        Ok(v1::ReconfigureMessage::InformationRequest) => ReconfigureMessage::InformationRequest,
        _ => return Err(ConvertError::Unknown("ReconfigureMessage", i64::from(raw))),
    })
}

impl From<&ReconfigureWhom> for v1::ReconfigureWhom {
    fn from(whom: &ReconfigureWhom) -> Self {
        let whom = match whom {
            ReconfigureWhom::Client(duid) => Whom::Duid(duid.as_bytes().to_vec()),
            ReconfigureWhom::Link(link) => Whom::Link(link.0),
            ReconfigureWhom::Pool(pool) => Whom::Pool(pool.0),
            ReconfigureWhom::Everyone => Whom::Everyone(true),
        };
        Self { whom: Some(whom) }
    }
}

impl TryFrom<&v1::ReconfigureWhom> for ReconfigureWhom {
    type Error = ConvertError;

    fn try_from(raw: &v1::ReconfigureWhom) -> Result<Self, ConvertError> {
        Ok(match need(raw.whom.as_ref(), "whom")? {
            Whom::Duid(duid) => Self::Client(Duid::new(duid)?),
            Whom::Link(link) => Self::Link(LinkId(*link)),
            Whom::Pool(pool) => Self::Pool(PoolId(*pool)),
            Whom::Everyone(_) => Self::Everyone,
        })
    }
}

impl From<&ReconfigureOrder> for v1::ReconfigureOrder {
    fn from(order: &ReconfigureOrder) -> Self {
        Self {
            whom: Some((&order.whom).into()),
            message: v1::ReconfigureMessage::from(order.message).into(),
            number: order.number,
            replay: order.replay,
        }
    }
}

impl TryFrom<&v1::ReconfigureOrder> for ReconfigureOrder {
    type Error = ConvertError;

    fn try_from(raw: &v1::ReconfigureOrder) -> Result<Self, ConvertError> {
        Ok(Self {
            whom: need(raw.whom.as_ref(), "whom")?.try_into()?,
            message: reconfigure_message(raw.message)?,
            number: raw.number,
            replay: raw.replay,
        })
    }
}
