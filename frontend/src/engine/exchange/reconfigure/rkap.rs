//! The Reconfiguration Key Authentication Protocol: keys, digests and the Authentication option's data.
//!
//! Owns how a client's key follows from the cluster's secret, and the layout of option 11 under RKAP. Refuses to know
//! when a key is given and who is asked. Keys are never shown (SEC-07) and never kept: they are derived when needed.
//! Source: RFC 9915 §20.4, §21.11; RFC 2104.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use leasehold_proto::reconfigure::ReconfigureSecret;
use md5::Md5;
use sha2::Sha256;
use std::fmt;

/// Octets of a key, and of an HMAC-MD5 digest.
pub(super) const KEY_LEN: usize = 16;
/// Octets of the option's data: protocol, algorithm, RDM, replay value, type, key or digest.
const OPTION_LEN: usize = 3 + 8 + 1 + KEY_LEN;
/// RKAP (RFC 9915 §20.4), HMAC-MD5, a counter that rises.
const HEADER: [u8; 3] = [3, 1, 0];
/// The data holds a key, or a digest.
const TYPE_KEY: u8 = 1;
const TYPE_DIGEST: u8 = 2;
/// Parts these keys from whatever else may once be derived from the secret.
const PURPOSE: &[u8] = b"reconfigure key";

/// A client's key.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::engine) struct ClientKey([u8; KEY_LEN]);

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKey(not shown)")
    }
}

/// Where clients' keys come from: HMAC-SHA256 keyed by the cluster's secret.
pub(super) struct Keys(Hmac<Sha256>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(not shown)")
    }
}

impl Keys {
    pub(super) fn new(secret: &ReconfigureSecret) -> Self {
        Self(keyed(secret.expose()))
    }

    /// The key of one client with one logical server: the same on both partners, and again after any crash (SV-402).
    pub(super) fn of_client(&self, server_duid: &[u8], client_duid: &[u8]) -> ClientKey {
        let mut mac = self.0.clone();
        mac.update(PURPOSE);
        // The length: else one server's client could be another's.
        mac.update(&(server_duid.len() as u64).to_be_bytes());
        mac.update(server_duid);
        mac.update(client_duid);
        let whole = mac.finalize().into_bytes();
        let mut key = [0; KEY_LEN];
        key.copy_from_slice(&whole[..KEY_LEN]);
        ClientKey(key)
    }
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// HMAC-MD5 of a whole message whose digest octets are zero (SV-404).
pub(super) fn digest(key: &ClientKey, message: &[u8]) -> [u8; KEY_LEN] {
    let mut mac: Hmac<Md5> = keyed(&key.0);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The data of the option that gives a client its key.
pub(super) fn key_option(key: &ClientKey, replay: u64) -> [u8; OPTION_LEN] {
    option(replay, TYPE_KEY, &key.0)
}

/// The data of the option of a Reconfigure, its digest still zero: the last octets.
pub(super) fn unsigned_option(replay: u64) -> [u8; OPTION_LEN] {
    option(replay, TYPE_DIGEST, &[0; KEY_LEN])
}

fn option(replay: u64, kind: u8, value: &[u8; KEY_LEN]) -> [u8; OPTION_LEN] {
    let mut data = [0; OPTION_LEN];
    data[..3].copy_from_slice(&HEADER);
    data[3..11].copy_from_slice(&replay.to_be_bytes());
    data[11] = kind;
    data[12..].copy_from_slice(value);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(octets: &[u8]) -> String {
        octets.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// RFC 2202 §2, test cases 1 to 5 and 7: those with keys of 16 octets go the way that clients' keys go.
    #[test]
    fn sv_404_hmac_md5_gives_the_known_answers_of_rfc_2202() {
        let of = |key: [u8; 16], data: &[u8]| hex(&digest(&ClientKey(key), data));
        assert_eq!(of([0x0b; 16], b"Hi There"), "9294727a3638bb1c13f48ef8158bfc9d");
        assert_eq!(of([0xaa; 16], &[0xdd; 50]), "56be34521d144c88dbb8c733f0e8b3f6");
        assert_eq!(of([0x0c; 16], b"Test With Truncation"), "56461ef2342edc00f9bab995690efd4c");
        let other = |key: &[u8], data: &[u8]| {
            let mut mac: Hmac<Md5> = keyed(key);
            mac.update(data);
            hex(&mac.finalize().into_bytes())
        };
        assert_eq!(other(b"Jefe", b"what do ya want for nothing?"), "750c783e6ab0b503eaa86e310a5db738");
        let key: Vec<u8> = (1..=25).collect();
        assert_eq!(other(&key, &[0xcd; 50]), "697eaf0aca3a3aea3a75164746ffaa79");
        let data = b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data";
        assert_eq!(other(&[0xaa; 80], data), "6f630fad67cda0ee1fb1f562db3aa53e");
    }

    /// Reckoned with Python's hmac and hashlib, so that a change of the derivation, which would make all keys wrong that
    /// clients hold, does not go unnoticed.
    #[test]
    fn sv_402_a_key_follows_from_secret_server_and_client() {
        let keys = Keys::new(&ReconfigureSecret::new([7; 32]));
        let key = keys.of_client(&[0, 2, 0, 0, 0, 1, 1], &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]);
        assert_eq!(hex(&key.0), "fa8848d68d355000e049c3b9bb66083f");
        assert_ne!(key, keys.of_client(&[0, 2, 0, 0, 0, 1, 1], &[0, 3, 0, 1, 2, 0, 0, 0, 0, 2]));
        assert_ne!(key, keys.of_client(&[0, 2, 0, 0, 0, 1, 2], &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]));
        assert_ne!(keys.of_client(b"aaab", b"bbb"), keys.of_client(b"aaa", b"bbbb"));
        let others = Keys::new(&ReconfigureSecret::new([8; 32]));
        assert_ne!(key, others.of_client(&[0, 2, 0, 0, 0, 1, 1], &[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn sec_07_keys_are_not_shown() {
        let keys = Keys::new(&ReconfigureSecret::new([0xab; 32]));
        let key = ClientKey([0xcd; KEY_LEN]);
        assert_eq!(format!("{keys:?} {key:?}"), "Keys(not shown) ClientKey(not shown)");
    }
}
