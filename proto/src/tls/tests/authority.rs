//! A certificate authority for these tests, in a temporary folder of its own.
//!
//! Owns: issuing certificates with any identity, validity and name, and revocation lists. Refuses to know: the
//! `leasehold certs` command, which has its own code and tests (this crate cannot depend on it).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};
use tempfile::TempDir;

use crate::identity::{Identity, Role};
use crate::tls::TlsFiles;

pub(super) const DAY: i64 = 86_400;

pub(super) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn moment(unix_secs: i64) -> Duration {
    Duration::from_secs(u64::try_from(unix_secs).unwrap())
}

pub(super) struct Authority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    revoked: Vec<u64>,
    next_serial: u64,
}

/// A certificate's files and its serial number.
pub(super) struct Issued {
    pub(super) files: TlsFiles,
    pub(super) serial: u64,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("test authority")
    }

    pub(super) fn named(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let mut authority =
            Self { dir, issuer: Issuer::new(params, key), revoked: Vec::new(), next_serial: 1 };
        authority.write_list();
        authority
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A certificate valid from yesterday to a month from now.
    pub(super) fn issue(&mut self, cluster: &str, role: Role, name: &str) -> Issued {
        self.issue_until(cluster, role, name, now() + 30 * DAY)
    }

    /// Writes (over) the files of a certificate; valid for the two months up to a moment.
    pub(super) fn issue_until(&mut self, cluster: &str, role: Role, name: &str, not_after: i64) -> Issued {
        let identity = Identity::new(cluster, role, name).unwrap();
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(1970, 1, 1) + moment(not_after - 60 * DAY);
        params.not_after = date_time_ymd(1970, 1, 1) + moment(not_after);
        params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if matches!(role, Role::Store | Role::Frontend) {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let stem = format!("{cluster}-{role}-{name}");
        let files = TlsFiles {
            ca: self.path().join("ca.pem"),
            cert: self.path().join(format!("{stem}.pem")),
            key: self.path().join(format!("{stem}.key")),
            crl: Some(self.path().join("crl.pem")),
        };
        replace(&files.cert, &certificate.pem());
        replace(&files.key, &key.serialize_pem());
        Issued { files, serial }
    }

    pub(super) fn revoke(&mut self, serial: u64) {
        self.revoked.push(serial);
        self.write_list();
    }

    fn write_list(&mut self) {
        // Long out of date on purpose: a stale list still counts.
        let this_update = date_time_ymd(2020, 1, 1);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update,
            next_update: date_time_ymd(2020, 2, 1),
            crl_number: SerialNumber::from(1 + self.revoked.len() as u64),
            issuing_distribution_point: None,
            revoked_certs: self.revoked.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        replace(&self.path().join("crl.pem"), &list.signed_by(&self.issuer).unwrap().pem().unwrap());
    }
}

/// Writes beside and renames, as the real command does: never half a file, always a new inode.
fn replace(path: &Path, text: &str) {
    let beside: PathBuf = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&beside, path).unwrap();
}
