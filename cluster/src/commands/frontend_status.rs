//! `leasehold frontend-status --socket PATH`: how a frontend on this machine can go on without the store.
//!
//! Owns the asking and what is printed for people; programs get the frontend's own answer. Refuses to judge: the
//! frontend does. It needs no store and no certificate, so it works when nothing else does.
//! In: the path of the socket (`[frontend] status_socket`). Out: a sentence and a table, or JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use leasehold_frontend::process::status_socket::{Answer, BUDGET_REQUEST, BudgetView, PoolView, VERSION};
use leasehold_proto::time::span_words;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::admin::table::{table, text};
use crate::cli::runtime;
use crate::exit::{ExitKind, Failure};

/// How long the frontend may take: it answers in milliseconds, or ends what waited for its turn after 2 s.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of an answer that are read: some ten thousand pools.
const ANSWER_MAX: u64 = 16 << 20;

/// Arguments of `leasehold frontend-status`.
#[derive(Args, Debug)]
pub struct FrontendStatusCommand {
    /// The frontend's socket, as in its configuration: [frontend] status_socket.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Print JSON, for programs; field names are stable.
    #[arg(long)]
    json: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody there.
    #[error(
        "no frontend can be reached at {}: {source}; does it run, does its configuration have [frontend] status_socket, and is this its user?",
        path.display()
    )]
    Unreachable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody, but no whole answer in time.
    #[error("the frontend at {} gave no whole answer within {} s", path.display(), PATIENCE.as_secs())]
    Late {
        /// Where.
        path: PathBuf,
    },
    /// The answer is none that this program knows.
    #[error("the answer of {} is not understood: {what}; is that the socket of a frontend of this version?", path.display())]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl AskError {
    fn kind(&self) -> ExitKind {
        match self {
            Self::Unreachable { .. } | Self::Late { .. } => ExitKind::Unreachable,
            Self::Unreadable { .. } => ExitKind::Other,
        }
    }
}

/// Asks and prints.
///
/// # Errors
/// Why there is no answer, with its exit code.
pub fn run(command: &FrontendStatusCommand) -> Result<(), Failure> {
    let path = &command.socket;
    let budget = runtime()?.block_on(ask(path)).map_err(|error| Failure::new(error.kind(), error))?;
    if command.json {
        let json = serde_json::to_string_pretty(&budget);
        println!("{}", json.map_err(|error| Failure::new(ExitKind::Other, error))?);
    } else {
        println!("{}", words(&budget));
    }
    Ok(())
}

/// Asks a frontend for its survival budget.
///
/// # Errors
/// [`AskError`].
pub async fn ask(path: &Path) -> Result<BudgetView, AskError> {
    let unreadable = |what: String| AskError::Unreadable { path: path.to_owned(), what };
    let answer = match tokio::time::timeout(PATIENCE, exchange(path)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(source)) => return Err(AskError::Unreachable { path: path.to_owned(), source }),
        Err(_) => return Err(AskError::Late { path: path.to_owned() }),
    };
    let answer: Answer = serde_json::from_slice(&answer).map_err(|error| unreadable(error.to_string()))?;
    match answer {
        Answer { version, .. } if version != VERSION => {
            Err(unreadable(format!("it is of version {version}, not {VERSION}")))
        }
        Answer { budget: Some(budget), .. } => Ok(budget),
        Answer { error, .. } => Err(unreadable(error.unwrap_or_else(|| "it is empty".to_owned()))),
    }
}

async fn exchange(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(format!("{BUDGET_REQUEST}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// For people: the sentence, then a line for each pool.
fn words(budget: &BudgetView) -> String {
    let mut rows = table([
        "pool",
        "link",
        "kind",
        "new leases",
        "of",
        "of late",
        "lasts",
        "autonomy left",
        "of",
        "known leases",
        "then at most",
    ]);
    for pool in &budget.pools {
        let known = pool.known.as_ref();
        rows.add_row([
            pool.name.clone(),
            pool.link.clone(),
            if pool.kind == "prefixes" {
                format!("/{} prefixes", pool.length_bits)
            } else {
                pool.kind.clone()
            },
            pool.new_leases.to_string(),
            pool.slots_owned.to_string(),
            pace(pool),
            span(pool.lasts_ms),
            span(pool.autonomy_left_ms),
            span(pool.autonomy_ms),
            known.map_or_else(|| "-".to_owned(), |known| known.active.to_string()),
            known.map_or_else(|| "-".to_owned(), |known| span(known.acknowledged_left_ms)),
        ]);
    }
    let head = format!("{}: {}", budget.frontend, budget.summary);
    if budget.pools.is_empty() { head } else { format!("{head}\n\n{}", text(&rows)) }
}

fn pace(pool: &PoolView) -> String {
    format!("{} in {}", pool.new_leases_of_late, span_words(pool.of_late_ms))
}

fn span(ms: Option<u64>) -> String {
    ms.map_or_else(|| "unlimited".to_owned(), span_words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_frontend::process::status_socket::{KnownView, StoreView};

    fn view() -> BudgetView {
        let pool = PoolView {
            name: "lan".to_owned(),
            link: "office".to_owned(),
            kind: "addresses".to_owned(),
            length_bits: 128,
            slots_owned: 64,
            slots_free: 17,
            new_leases: 17,
            new_leases_of_late: 5,
            of_late_ms: 600_000,
            lasts_ms: Some(2_040_000),
            autonomy_ms: None,
            autonomy_left_ms: None,
            mclt_secs: Some(3600),
            known: Some(KnownView { active: 47, acknowledged_left_ms: Some(7_200_000) }),
        };
        let homes = PoolView {
            name: "homes".to_owned(),
            kind: "prefixes".to_owned(),
            length_bits: 56,
            autonomy_ms: Some(14_400_000),
            autonomy_left_ms: Some(60_000),
            known: None,
            ..pool.clone()
        };
        BudgetView {
            frontend: "fe-a".to_owned(),
            age_ms: 1,
            store: StoreView { in_reach: false, was_reached: true, out_of_reach_ms: Some(5_000) },
            summary: "The store is away.".to_owned(),
            superseded: false,
            stopping: false,
            untold_leases: 3,
            pools: vec![pool, homes],
        }
    }

    #[test]
    fn fo_904_people_read_a_sentence_and_a_line_for_each_pool() {
        let text = words(&view());
        let lines: Vec<Vec<&str>> =
            text.lines().map(|l| l.split("  ").filter(|w| !w.is_empty()).map(str::trim).collect()).collect();
        assert_eq!(lines[0], ["fe-a: The store is away."]);
        assert_eq!(
            lines[3],
            [
                "lan",
                "office",
                "addresses",
                "17",
                "64",
                "5 in 10m",
                "34m",
                "unlimited",
                "unlimited",
                "47",
                "2h"
            ]
        );
        assert_eq!(
            lines[4],
            ["homes", "office", "/56 prefixes", "17", "64", "5 in 10m", "34m", "1m", "4h", "-", "-"]
        );
        assert!(!words(&BudgetView { pools: Vec::new(), ..view() }).contains('\n'));
    }

    #[tokio::test]
    async fn who_asks_where_no_frontend_answers_is_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fe.sock");
        let gone = ask(&path).await.unwrap_err();
        assert_eq!(gone.kind(), ExitKind::Unreachable);
        assert!(gone.to_string().contains("status_socket"), "{gone}");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let other = tokio::spawn(async move {
            for answer in ["nonsense", r#"{"version":9}"#, r#"{"version":1,"error":"no"}"#] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 7];
                stream.read_exact(&mut request).await.unwrap();
                assert_eq!(&request, b"budget\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        for part in ["expected", "version 9", "not understood: no"] {
            let error = ask(&path).await.unwrap_err();
            assert!(
                matches!(error, AskError::Unreadable { .. }) && error.to_string().contains(part),
                "{error}"
            );
        }
        other.await.unwrap();
    }
}
