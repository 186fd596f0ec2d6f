//! Looking at one client's messages as frontends decide on them.
//!
//! Owns the bounds on what may be asked. Only the leader is asked: frontends are connected to it. That somebody looks
//! is logged with the caller's name, since it shows what a client does.

use super::super::replica::lock;
use super::super::traces::Tracing;
use super::{AdminService, not_leader};
use crate::hub::TraceRefusal;
use leasehold_proto::trace::TracedClient;
use leasehold_proto::v1;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// For how long one call may look.
const SPAN_MAX: Duration = Duration::from_secs(24 * 3600);

impl AdminService {
    pub(super) async fn trace_client(&self, request: &v1::TraceRequest, by: &str) -> Result<Tracing, Status> {
        let client =
            request.client.as_ref().ok_or_else(|| Status::invalid_argument("whom to trace is not said"))?;
        let client = TracedClient::try_from(client).map_err(|e| Status::invalid_argument(e.to_string()))?;
        let span = Duration::from_millis(request.span_ms);
        if span.is_zero() || span > SPAN_MAX {
            let hours = SPAN_MAX.as_secs() / 3600;
            return Err(Status::invalid_argument(format!(
                "a trace lasts longer than 0 and at most {hours} h"
            )));
        }
        self.read(false).await?;
        let until = Instant::now() + span;
        let (id, answers) =
            lock(&self.replica).trace(client, &self.name).map_err(|refusal| match refusal {
                // It led a moment ago.
                TraceRefusal::NotLeading => not_leader(self.node.metrics().borrow().leader.as_ref()),
                TraceRefusal::TooMany => Status::resource_exhausted(refusal.to_string()),
            })?;
        tracing::info!(trace = id.0, %by, "a client is being traced");
        Ok(Tracing { replica: Arc::clone(&self.replica), id, answers, until })
    }
}
