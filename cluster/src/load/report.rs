//! The report of a run: what programs read, and what people read.
//!
//! Owns the names, which are stable, and the verdict. Refuses to measure. Latencies are in microseconds from the first
//! sending of a message to its answer, waits in milliseconds from a client's first Solicit or Renew to its Reply.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::avalanche::AvalancheReport;
use super::cpu::CpuTime;
use super::generator::Generator;
use super::stats::{Exchange, Spans};

/// Percentiles of a span, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many.
    pub count: u64,
    /// Half are shorter.
    pub p50_us: u64,
    /// 90 % are shorter.
    pub p90_us: u64,
    /// 99 % are shorter.
    pub p99_us: u64,
    /// 99.9 % are shorter.
    pub p99_9_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Percentiles {
    pub(super) fn of(spans: &Spans) -> Self {
        let at = |quantile: f64| spans.histogram.value_at_quantile(quantile);
        Self {
            count: spans.histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p99_9_us: at(0.999),
            max_us: u64::try_from(spans.longest.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// The longest waits of any client, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LongestWaits {
    /// For a new lease that came.
    pub new_lease_ms: u64,
    /// For a renewal that came.
    pub renewal_ms: u64,
    /// For a new lease that had not come when the time was over.
    pub unanswered_new_lease_ms: u64,
    /// For a renewal that had not come when the time was over.
    pub unanswered_renewal_ms: u64,
}

/// CPU time of one process during the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CpuReport {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Seconds of CPU used.
    pub cpu_seconds: f64,
    /// Microseconds of CPU for each message answered.
    pub us_per_exchange: f64,
}

/// All that a run has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Whether nothing was wrong: no wrong answer, no double promise.
    pub passed: bool,
    /// How long exchanges were begun, in seconds.
    pub seconds: f64,
    /// How many clients there were.
    pub clients: u32,
    /// How many held leases at the end.
    pub clients_bound: u64,
    /// How many still waited for an answer when the grace at the end was over.
    pub clients_unanswered: u64,
    /// Messages answered, those after the time was over included.
    pub exchanges: u64,
    /// Messages answered in a second, while exchanges were begun.
    pub exchanges_per_second: f64,
    /// New leases given: four messages, or two with Rapid Commit.
    pub leases_given: u64,
    /// The same in a second, while exchanges were begun.
    pub leases_given_per_second: f64,
    /// Renewals answered with an extension.
    pub renewals_answered: u64,
    /// Latency of each kind of exchange that occurred.
    pub latency: BTreeMap<&'static str, Percentiles>,
    /// Waits for new leases.
    pub new_lease: Percentiles,
    /// Waits for renewals.
    pub renewal: Percentiles,
    /// The longest.
    pub longest_waits: LongestWaits,
    /// Datagrams sent, one for each server.
    pub datagrams_sent: u64,
    /// Datagrams received.
    pub datagrams_received: u64,
    /// Datagrams that the kernel dropped here because this process was too slow: the measurement is not good then.
    pub datagrams_dropped_here: u64,
    /// Messages answered by each server that is known beforehand; one counts once, for whoever was first.
    pub answers_by_server: BTreeMap<String, u64>,
    /// Messages sent again, by kind.
    pub retransmissions: BTreeMap<&'static str, u64>,
    /// Further answers to messages that had been answered.
    pub late_answers: u64,
    /// Datagrams thrown away, by reason.
    pub discards: BTreeMap<&'static str, u64>,
    /// Refusals by status code.
    pub refusals: BTreeMap<u16, u64>,
    /// Leases that their server took back or knew nothing of.
    pub leases_lost: u64,
    /// Leases that ran out because nobody extended them.
    pub leases_expired: u64,
    /// Answers that no right server gives, by what is wrong.
    pub wrong_answers: BTreeMap<String, u64>,
    /// Some of them.
    pub wrong_examples: Vec<String>,
    /// Promises of an address or prefix that another client held.
    pub double_promises: u64,
    /// Some of them.
    pub double_examples: Vec<String>,
    /// How the avalanche went, if there was one: everything else is then about it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avalanche: Option<AvalancheReport>,
    /// CPU time of the processes asked about.
    pub cpu: Vec<CpuReport>,
}

impl Report {
    pub(super) fn of(generator: &Generator, bound: u64, dropped_here: u64) -> Self {
        let stats = &generator.stats;
        let seconds = generator.ended.saturating_since(generator.began).as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { as_f64(count) / seconds } else { 0.0 };
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let latency = Exchange::ALL
            .into_iter()
            .map(|exchange| (exchange.name(), Percentiles::of(&stats.exchanges[exchange as usize])))
            .filter(|(_, percentiles)| percentiles.count > 0);
        let (new_lease, renewal) = (Percentiles::of(&stats.new_lease), Percentiles::of(&stats.renewal));
        let exchanges = stats.exchanges_done();
        Self {
            passed: stats.wrong.is_empty() && stats.double_promises == 0,
            seconds,
            clients: generator.plan.clients,
            clients_bound: bound,
            clients_unanswered: generator.clients_waiting(),
            exchanges,
            exchanges_per_second: per_second(generator.done_in_time.0),
            leases_given: new_lease.count,
            leases_given_per_second: per_second(generator.done_in_time.1),
            renewals_answered: renewal.count,
            latency: latency.collect(),
            new_lease,
            renewal,
            longest_waits: LongestWaits {
                new_lease_ms: ms(stats.new_lease.longest),
                renewal_ms: ms(stats.renewal.longest),
                unanswered_new_lease_ms: ms(generator.still_waiting.0),
                unanswered_renewal_ms: ms(generator.still_waiting.1),
            },
            datagrams_sent: stats.sent,
            datagrams_received: stats.received,
            datagrams_dropped_here: dropped_here,
            answers_by_server: generator
                .answers_by_server()
                .into_iter()
                .map(|(server, answers)| (server.to_string(), answers))
                .collect(),
            retransmissions: stats.sent_again.clone(),
            late_answers: stats.late,
            discards: stats.discards.clone(),
            refusals: stats.refused.clone(),
            leases_lost: stats.lost,
            leases_expired: stats.expired,
            wrong_answers: stats.wrong.iter().map(|(fault, count)| (fault.to_string(), *count)).collect(),
            wrong_examples: stats.wrong_examples.clone(),
            double_promises: stats.double_promises,
            double_examples: stats.double_examples.clone(),
            avalanche: generator.avalanche_report(),
            cpu: Vec::new(),
        }
    }

    /// Adds what processes have used between two readings of their CPU time.
    pub fn add_cpu(&mut self, before: &[CpuTime], after: &[CpuTime]) {
        for (before, after) in before.iter().zip(after) {
            let used = after.used.saturating_sub(before.used).as_secs_f64();
            self.cpu.push(CpuReport {
                pid: after.pid,
                name: after.name.clone(),
                cpu_seconds: used,
                us_per_exchange: if self.exchanges > 0 { used * 1e6 / as_f64(self.exchanges) } else { 0.0 },
            });
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people; exact up to 2^53")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

impl fmt::Display for Report {
    /// For people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} exchanges in {:.2} s: {:.0}/s; {} leases given ({:.0}/s), {} renewals; {} of {} clients hold leases",
            self.exchanges,
            self.seconds,
            self.exchanges_per_second,
            self.leases_given,
            self.leases_given_per_second,
            self.renewals_answered,
            self.clients_bound,
            self.clients
        )?;
        let mut rows: Vec<(&str, &Percentiles)> = self.latency.iter().map(|(name, p)| (*name, p)).collect();
        rows.push(("wait for a new lease", &self.new_lease));
        rows.push(("wait for a renewal", &self.renewal));
        writeln!(
            f,
            "{:<22}{:>10}{:>12}{:>12}{:>12}{:>12}{:>12}",
            "ms", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for (name, p) in rows.iter().filter(|(_, p)| p.count > 0) {
            write!(f, "{name:<22}{:>10}", p.count)?;
            for us in [p.p50_us, p.p90_us, p.p99_us, p.p99_9_us, p.max_us] {
                write!(f, "{:>12.3}", as_f64(us) / 1e3)?;
            }
            writeln!(f)?;
        }
        if let Some(avalanche) = &self.avalanche {
            write!(f, "{avalanche}")?;
        }
        let waits = &self.longest_waits;
        writeln!(
            f,
            "longest wait: {} ms for a new lease, {} ms for a renewal; unanswered at the end: {} ms, {} ms",
            waits.new_lease_ms, waits.renewal_ms, waits.unanswered_new_lease_ms, waits.unanswered_renewal_ms
        )?;
        writeln!(
            f,
            "datagrams: {} sent, {} received, {} dropped here",
            self.datagrams_sent, self.datagrams_received, self.datagrams_dropped_here
        )?;
        counts(f, "answers by server", &self.answers_by_server)?;
        counts(f, "sent again", &self.retransmissions)?;
        counts(f, "discarded", &self.discards)?;
        counts(f, "refused by status", &self.refusals)?;
        if self.late_answers + self.leases_lost + self.leases_expired > 0 {
            writeln!(
                f,
                "late answers: {}; leases lost: {}, expired: {}",
                self.late_answers, self.leases_lost, self.leases_expired
            )?;
        }
        for cpu in &self.cpu {
            writeln!(
                f,
                "CPU of {} ({}): {:.2} s, {:.2} us for each exchange",
                cpu.pid, cpu.name, cpu.cpu_seconds, cpu.us_per_exchange
            )?;
        }
        counts(f, "WRONG ANSWERS", &self.wrong_answers)?;
        for example in self.wrong_examples.iter().chain(&self.double_examples) {
            writeln!(f, "  {example}")?;
        }
        let verdict = if self.passed { "PASSED" } else { "FAILED" };
        let wrong: u64 = self.wrong_answers.values().sum();
        write!(f, "{verdict}: {wrong} wrong answers, {} double promises", self.double_promises)
    }
}

fn counts<K: fmt::Display>(f: &mut fmt::Formatter<'_>, what: &str, counts: &BTreeMap<K, u64>) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(f, "{what}: {}", list.join(", "))
}
