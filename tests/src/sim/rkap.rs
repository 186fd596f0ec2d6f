//! RKAP as a client sees it (RFC 9915 §20.4): the Authentication option, and whether a Reconfigure is signed by its key.
//!
//! Owns the octets, read by the RFC and not by the frontend's code for them. Refuses to judge replay values.

use hmac::{Hmac, Mac};
use leasehold_frontend::codec::Options;
use leasehold_frontend::codec::options::OptionBudget;
use leasehold_frontend::codec::wire::{msg, opt};
use md5::Md5;

/// A key, or a digest.
pub(super) type Octets = [u8; 16];
/// RKAP, HMAC-MD5, a counter that rises.
const HEADER: [u8; 3] = [3, 1, 0];
const TYPE_KEY: u8 = 1;
const TYPE_DIGEST: u8 = 2;

/// An Authentication option's data.
struct Authentication {
    replay: u64,
    kind: u8,
    value: Octets,
}

fn authentication(data: &[u8]) -> Option<Authentication> {
    let (header, rest) = data.split_first_chunk::<3>()?;
    let (replay, rest) = rest.split_first_chunk::<8>()?;
    let (kind, value) = rest.split_first()?;
    let fits = *header == HEADER;
    let value = value.try_into().ok().filter(|_| fits)?;
    Some(Authentication { replay: u64::from_be_bytes(*replay), kind: *kind, value })
}

/// The replay value and the key that an Authentication option of a Reply gives.
pub(super) fn key_in(data: &[u8]) -> Option<(u64, Octets)> {
    let given = authentication(data).filter(|a| a.kind == TYPE_KEY)?;
    Some((given.replay, given.value))
}

/// A Reconfigure.
pub(super) struct Asking<'a> {
    pub(super) server: &'a [u8],
    pub(super) client: &'a [u8],
    /// The message type that is asked for.
    pub(super) message: u8,
    pub(super) replay: u64,
    digest: Octets,
    bytes: &'a [u8],
}

impl<'a> Asking<'a> {
    /// Reads one that is as SV-403 has it: transaction id 0, and no option but the four.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, body) = bytes.split_first_chunk::<4>()?;
        let options = Options::parse(body, &mut OptionBudget::new()).ok()?;
        let signed = authentication(options.first(opt::AUTH)?).filter(|a| a.kind == TYPE_DIGEST)?;
        let [message] = options.first(opt::RECONF_MSG)? else { return None };
        let sound = *header == [msg::RECONFIGURE, 0, 0, 0] && options.iter().count() == 4;
        sound.then_some(Self {
            server: options.first(opt::SERVER_ID)?,
            client: options.first(opt::CLIENT_ID)?,
            message: *message,
            replay: signed.replay,
            digest: signed.value,
            bytes,
        })
    }

    /// Whether the digest is that of the whole message under a key, its own octets being zero (SV-404).
    pub(super) fn is_signed_by(&self, key: &Octets) -> bool {
        let Some(at) = self.bytes.windows(self.digest.len()).position(|w| w == self.digest) else {
            return false;
        };
        let mut unsigned = self.bytes.to_vec();
        unsigned[at..at + self.digest.len()].fill(0);
        let mut mac: Hmac<Md5> = Mac::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(&unsigned);
        mac.verify_slice(&self.digest).is_ok()
    }
}
