//! A certificate authority for these tests, in a temporary folder of its own.

use leasehold_proto::identity::{Identity, Role};
use leasehold_proto::tls::{Security, TlsFiles};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        write(&folder.path().join("ca.pem"), &params.self_signed(&key).unwrap().pem());
        Self { folder, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn issue(&self, cluster: &str, role: Role, name: &str) -> TlsFiles {
        let identity = Identity::new(cluster, role, name).unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into().unwrap())];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |suffix: &str| self.folder.path().join(format!("{cluster}-{role}-{name}.{suffix}"));
        let files = TlsFiles {
            ca: self.folder.path().join("ca.pem"),
            cert: path("pem"),
            key: path("key"),
            crl: None,
        };
        write(&files.cert, &certificate.pem());
        write(&files.key, &key.serialize_pem());
        files
    }

    pub(crate) fn security(&self, role: Role, name: &str) -> Security {
        Security::open(self.issue("berlin", role, name)).unwrap()
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
