//! The revocation list: read, added to, signed anew.
//!
//! Owns: the list's content; the file itself is the only record of what is revoked. Refuses to know: where the file
//! is. Invariant: entries are never dropped, and the list's number only grows (RFC 5280 §5.2.3).

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
    date_time_ymd,
};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::authority::{DAY_SECS, now_unix_secs, since_epoch};

/// Until when a list is said to be current: our verifiers take a list however old (RFC 7031 §8), so this is long.
const LIST_DAYS: i64 = 3650;

/// What is revoked so far.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    number: u64,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    serial: Vec<u8>,
    revoked_at_unix_secs: i64,
}

impl Revocations {
    /// Reads a list from PEM.
    pub(super) fn parse(pem: &str) -> Result<Self, String> {
        let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(|e| e.to_string())?;
        let (_, list) = CertificateRevocationList::from_der(&block.contents).map_err(|e| e.to_string())?;
        let number = list.crl_number().and_then(|number| u64::try_from(number).ok());
        let entries = list.iter_revoked_certificates().map(|entry| Entry {
            serial: strip(entry.raw_serial()).to_vec(),
            revoked_at_unix_secs: entry.revocation_date.timestamp(),
        });
        Ok(Self { number: number.ok_or("it has no usable number")?, entries: entries.collect() })
    }

    /// Adds a serial number; `false` if it was there already.
    pub(super) fn add(&mut self, serial: &[u8]) -> bool {
        if self.contains(serial) {
            return false;
        }
        self.entries.push(Entry { serial: strip(serial).to_vec(), revoked_at_unix_secs: now_unix_secs() });
        true
    }

    /// Whether a serial number is on the list.
    pub(super) fn contains(&self, serial: &[u8]) -> bool {
        self.entries.iter().any(|entry| entry.serial == strip(serial))
    }

    /// The list under its next number, signed, as PEM.
    pub(super) fn sign(&self, issuer: &Issuer<'_, KeyPair>) -> Result<String, rcgen::Error> {
        let now = now_unix_secs();
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(1970, 1, 1) + since_epoch(now),
            next_update: date_time_ymd(1970, 1, 1) + since_epoch(now.saturating_add(LIST_DAYS * DAY_SECS)),
            crl_number: SerialNumber::from(self.number.saturating_add(1)),
            issuing_distribution_point: None,
            revoked_certs: self.entries.iter().map(Entry::params).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(issuer)?.pem()
    }
}

impl Entry {
    fn params(&self) -> RevokedCertParams {
        RevokedCertParams {
            serial_number: SerialNumber::from_slice(&self.serial),
            revocation_time: date_time_ymd(1970, 1, 1) + since_epoch(self.revoked_at_unix_secs),
            reason_code: None,
            invalidity_date: None,
        }
    }
}

/// A serial number without the zero bytes that its encoding may put in front.
fn strip(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}
