//! Taking connections on the status socket and answering each within bounds.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::BUDGET_REQUEST;
use super::view::{Answer, BudgetView};
use crate::engine::budget::SurvivalBudget;
use crate::io::clock;

/// Connections held at once.
pub(super) const CONNECTIONS_MAX: usize = 8;
/// How long one connection may take for its request and its answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Octets of a request that are read, its line end included.
pub(super) const REQUEST_MAX: usize = 64;
/// Pause after the kernel refused a connection: a process without descriptors must not spin.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// The last budget that the packet thread published; nothing before the first.
pub(in crate::process) type Published = Option<Arc<SurvivalBudget>>;

/// Serves for as long as the runtime runs.
pub(in crate::process) async fn serve(listener: UnixListener, published: watch::Receiver<Published>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let published = published.borrow().clone();
                tokio::spawn(async move {
                    // Who asks without reading the answer gets none: there is nobody to be told.
                    let _ = tokio::time::timeout(ANSWER_WITHIN, answer(stream, published)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the status socket took no connection");
                tokio::time::sleep(AFTER_REFUSAL).await;
            }
        }
    }
}

async fn answer(mut stream: UnixStream, published: Published) -> std::io::Result<()> {
    let mut request = [0; REQUEST_MAX];
    let mut len = 0;
    let line = loop {
        if let Some(end) = request[..len].iter().position(|octet| *octet == b'\n') {
            break request[..end].trim_ascii();
        }
        let read = if len < REQUEST_MAX { stream.read(&mut request[len..]).await? } else { 0 };
        // At its end, or longer than any request.
        if read == 0 {
            break request[..len].trim_ascii();
        }
        len += read;
    };
    let answer = match published {
        _ if line != BUDGET_REQUEST.as_bytes() => {
            Answer::error(format!("the request is not understood: send `{BUDGET_REQUEST}` and a line end"))
        }
        None => Answer::error("this frontend has only just begun: ask again".to_owned()),
        Some(budget) => {
            let age = clock::now().saturating_since(budget.as_of);
            Answer::budget(BudgetView::of(&budget, age))
        }
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    stream.shutdown().await
}
