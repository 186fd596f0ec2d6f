//! Traces, both ways. What a frontend reports is carried on as it is.

use super::{ConvertError, address, need};
use crate::trace::{LINK_LAYER_LEN_MAX, TraceFilter, TraceReport, TracedClient};
use crate::v1;
use crate::v1::traced_client::Client;
use crate::words::Duid;

impl From<&TracedClient> for v1::TracedClient {
    fn from(client: &TracedClient) -> Self {
        let client = match client {
            TracedClient::Duid(duid) => Client::Duid(duid.as_bytes().to_vec()),
            TracedClient::LinkLayer(octets) => Client::LinkLayer(octets.clone()),
            TracedClient::Peer(bits) => Client::Peer(bits.to_be_bytes().to_vec()),
        };
        Self { client: Some(client) }
    }
}

impl TryFrom<&v1::TracedClient> for TracedClient {
    type Error = ConvertError;

    fn try_from(raw: &v1::TracedClient) -> Result<Self, ConvertError> {
        Ok(match need(raw.client.as_ref(), "client")? {
            Client::Duid(octets) => Self::Duid(Duid::new(octets)?),
            Client::LinkLayer(octets) if (1..=LINK_LAYER_LEN_MAX).contains(&octets.len()) => {
                Self::LinkLayer(octets.clone())
            }
            Client::LinkLayer(octets) => return Err(ConvertError::LinkLayerLength(octets.len())),
            Client::Peer(octets) => Self::Peer(address(octets, "peer")?),
        })
    }
}

impl From<&TraceFilter> for v1::TraceFilter {
    fn from(filter: &TraceFilter) -> Self {
        Self { id: filter.id, client: Some((&filter.client).into()) }
    }
}

impl TryFrom<&v1::TraceFilter> for TraceFilter {
    type Error = ConvertError;

    fn try_from(raw: &v1::TraceFilter) -> Result<Self, ConvertError> {
        Ok(Self { id: raw.id, client: need(raw.client.as_ref(), "client")?.try_into()? })
    }
}

impl From<&TraceReport> for v1::TraceReport {
    fn from(report: &TraceReport) -> Self {
        Self { in_force: report.in_force.clone(), dropped: report.dropped, events: report.events.clone() }
    }
}

impl From<&v1::TraceReport> for TraceReport {
    fn from(raw: &v1::TraceReport) -> Self {
        Self { in_force: raw.in_force.clone(), dropped: raw.dropped, events: raw.events.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traced_client_survives_the_wire_and_an_impossible_one_is_refused() {
        for client in [
            TracedClient::Duid(Duid::new(&[0, 1, 2]).unwrap()),
            TracedClient::LinkLayer(vec![2, 0, 0, 0, 0, 7]),
            TracedClient::Peer(7),
        ] {
            let filter = TraceFilter { id: 3, client };
            assert_eq!(TraceFilter::try_from(&v1::TraceFilter::from(&filter)), Ok(filter));
        }
        let refused = |client| TracedClient::try_from(&v1::TracedClient { client }).is_err();
        assert!(refused(None));
        assert!(refused(Some(Client::Duid(vec![1, 2]))));
        assert!(refused(Some(Client::LinkLayer(vec![]))));
        assert!(refused(Some(Client::LinkLayer(vec![0; 33]))));
        assert!(refused(Some(Client::Peer(vec![0; 4]))));
    }
}
