//! `leasehold admin trace`: one client's messages, live, as frontends decide on them.
//!
//! Owns the arguments, and staying with the leader for the time asked for: when the stream breaks, the store is asked
//! anew for what is left of it. Refuses to lay out what it prints ([`view`], [`text`]). Output: a block a message for
//! people, a JSON object a line for programs, both written at once. Everything from clients is hexadecimal or escaped.

#[cfg(test)]
mod tests;
mod text;
mod view;

use std::io::{ErrorKind, Write};
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use leasehold_proto::trace::{LINK_LAYER_LEN_MAX, TracedClient};
use leasehold_proto::v1;
use leasehold_proto::words::Duid;
use tokio::time::Instant;
use tonic::{Code, Streaming};

use super::Output;
use super::connect::{AdminError, StoreAccess};
use crate::config::{parse_pairs, parse_span};
use crate::exit::{ExitKind, Failure};
use view::Line;

/// For how long no store node may lead before a trace is given up. An election takes a second or two.
const LEADERLESS_MAX: Duration = Duration::from_secs(30);
/// Between two attempts meanwhile.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Arguments of `leasehold admin trace`.
#[derive(Args, Debug)]
pub(super) struct TraceArguments {
    #[command(flatten)]
    client: Whom,
    /// For how long, as 30s, 10m or 2h; at most a day.
    #[arg(long = "for", value_name = "SPAN", default_value = "10m", value_parser = parse_span)]
    span: Duration,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The client with this DUID: hexadecimal digits, with or without colons.
    #[arg(long, value_name = "HEX")]
    duid: Option<Duid>,
    /// The client with this link-layer address, if its relay tells it (RFC 6939): as 02:00:5e:10:00:01.
    #[arg(long, value_name = "MAC")]
    link_layer: Option<LinkLayer>,
    /// The client with this address of its own, mostly link-local: source or innermost peer-address.
    #[arg(long, value_name = "ADDRESS")]
    peer: Option<Ipv6Addr>,
}

impl Whom {
    fn client(&self) -> Option<TracedClient> {
        let link_layer = || self.link_layer.as_ref().map(|mac| TracedClient::LinkLayer(mac.0.clone()));
        let peer = || self.peer.map(|address| TracedClient::Peer(address.to_bits()));
        self.duid.clone().map(TracedClient::Duid).or_else(link_layer).or_else(peer)
    }
}

/// A link-layer address as people write it.
#[derive(Clone, Debug)]
struct LinkLayer(Vec<u8>);

impl FromStr for LinkLayer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a link-layer address: write pairs of hexadecimal digits, as 02:00:5e:10:00:01"
            )
        };
        parse_pairs(text).filter(|octets| octets.len() <= LINK_LAYER_LEN_MAX).map(Self).ok_or_else(wrong)
    }
}

/// Prints what comes until the time is over.
pub(super) async fn run(
    output: Output,
    access: &StoreAccess,
    arguments: &TraceArguments,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let client = arguments.client.client().as_ref().map(Into::into);
    let until = Instant::now() + arguments.span;
    let mut broken_at: Option<Instant> = None;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let span_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        // On the first attempt the store judges the span, whatever it is.
        if span_ms == 0 && broken_at.is_some() {
            return Ok(());
        }
        let request = v1::TraceRequest { client: client.clone(), span_ms };
        let why = match access.call(async |mut store| store.trace(request.clone()).await).await {
            Ok(stream) => match follow(output, stream, out).await? {
                Ended::InTime => return Ok(()),
                Ended::Broken(why) => why,
            },
            Err(AdminError::Unreachable { .. })
                if broken_at.is_some_and(|at| at.elapsed() < LEADERLESS_MAX) =>
            {
                tokio::time::sleep(RETRY_PAUSE).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        broken_at = Some(Instant::now());
        if !write(output, &Line::Interrupted { reason: why }, out)? {
            return Ok(());
        }
    }
}

enum Ended {
    /// The time is over, or nobody reads what is printed.
    InTime,
    /// Another node may go on.
    Broken(String),
}

async fn follow(
    output: Output,
    mut stream: Streaming<v1::TraceAnswer>,
    out: &mut impl Write,
) -> Result<Ended, Failure> {
    loop {
        let answer = match stream.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Ok(Ended::InTime),
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled) => {
                return Ok(Ended::Broken(status.message().to_owned()));
            }
            Err(status) => return Err(Failure::new(ExitKind::Other, status.message())),
        };
        if let Some(line) = Line::of(&answer)
            && !write(output, &line, out)?
        {
            return Ok(Ended::InTime);
        }
    }
}

/// False when nobody reads any more.
fn write(output: Output, line: &Line, out: &mut impl Write) -> Result<bool, Failure> {
    let text = match output {
        Output::Table => text::block(line),
        Output::Json => serde_json::to_string(line)
            .map_err(|error| Failure::new(ExitKind::Other, format!("cannot write JSON: {error}")))?,
    };
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(ExitKind::Other, format!("cannot print: {error}"))),
    }
}
