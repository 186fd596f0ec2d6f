//! A cluster's certificate authority, kept in a folder.
//!
//! Owns: the folder (`ca.pem`, `ca.key`, `crl.pem`), issuing certificates that carry an identity, and revoking them.
//! Refuses to know: the command line, and how peers verify (`leasehold_proto::tls`). The demo and the tests make
//! their clusters with it too.
//!
//! Invariants: the authority signs for one cluster only, named in its own certificate; it signs no further
//! authorities; certificates start a day before they are made, because a node's wall clock may lag and validity is
//! the one use of wall time; no private key is printed or logged (SEC-07).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leasehold_proto::identity::{Identity, IdentityError, Role, check_name};
use leasehold_proto::tls::{TlsFiles, certificate_facts};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::files::{PUBLIC, SECRET, read, replace, write_set};
use super::list::Revocations;

/// Seconds of a day.
pub(super) const DAY_SECS: i64 = 86_400;

/// Days a certificate is valid if nothing else is said.
pub const DEFAULT_DAYS: u32 = 365;

/// Most days a certificate can be valid.
const MAX_DAYS: u32 = 7300;

/// How long before its making a certificate starts.
const BACKDATE_SECS: i64 = DAY_SECS;

const CA_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key";
const CRL_FILE: &str = "crl.pem";

/// Why the authority could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file would be overwritten.
    #[error("{} exists already and is not overwritten: choose another folder or name, or move it away", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is not usable: {detail}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// There is no authority in the folder.
    #[error("there is no certificate authority in {}: make one with `leasehold certs init`", dir.display())]
    NoAuthority {
        /// The folder.
        dir: PathBuf,
    },
    /// The authority's key can be read by everybody.
    #[error("{} can be read by everyone on this host (mode {mode:03o}): run `chmod 600` on it", path.display())]
    KeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A cluster or node name is not usable.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The number of days is out of bounds.
    #[error("a certificate cannot be valid for {days} days: use 1 to {MAX_DAYS}")]
    Days {
        /// What was asked for.
        days: u32,
    },
    /// The certificate is somebody else's.
    #[error("{} was not signed by the authority in {}: give that authority's folder", path.display(), dir.display())]
    NotOurs {
        /// The certificate file.
        path: PathBuf,
        /// The authority's folder.
        dir: PathBuf,
    },
    /// The certificate is on the list already.
    #[error("{identity} in {} is revoked already", path.display())]
    AlreadyRevoked {
        /// The certificate file.
        path: PathBuf,
        /// Its holder.
        identity: Box<Identity>,
    },
    /// The certificate library failed.
    #[error("cannot make the certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// When a certificate is valid, Unix time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before_unix_secs: i64,
    /// Last second.
    pub not_after_unix_secs: i64,
}

impl Validity {
    /// From a day ago to so many days from now.
    ///
    /// # Errors
    /// [`CertsError::Days`] outside 1..=7300.
    pub fn days(days: u32) -> Result<Self, CertsError> {
        if !(1..=MAX_DAYS).contains(&days) {
            return Err(CertsError::Days { days });
        }
        let now = now_unix_secs();
        Ok(Self {
            not_before_unix_secs: now - BACKDATE_SECS,
            not_after_unix_secs: now + i64::from(days) * DAY_SECS,
        })
    }
}

/// A certificate just issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its holder.
    pub identity: Identity,
    /// The new certificate and key, with the authority's certificate and revocation list: a node's `[tls]` table.
    pub files: TlsFiles,
}

/// An authority that can sign.
#[derive(Debug)]
pub struct CertificateAuthority {
    dir: PathBuf,
    cluster: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl CertificateAuthority {
    /// Makes a new authority with an empty revocation list in a folder, which is made too if it is not there.
    ///
    /// # Errors
    /// [`CertsError`]: a bad cluster name, or files of an authority that are there already.
    pub fn create(dir: &Path, cluster: &str) -> Result<Self, CertsError> {
        check_name("cluster name", cluster)?;
        let validity = Validity::days(MAX_DAYS)?;
        let key = KeyPair::generate()?;
        // The key's mark in the name tells two authorities of one cluster apart, for verifiers and for people.
        let mark = CertificateParams::default().key_identifier(&key);
        let mark: String = mark.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let mut params = params(validity, &format!("leasehold certificate authority {mark}"), cluster);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let (secret, certificate) = (key.serialize_pem(), params.self_signed(&key)?);
        let list = Revocations::default().sign(&Issuer::new(params, key))?;
        fs::create_dir_all(dir).map_err(|source| CertsError::File { path: dir.to_owned(), source })?;
        write_set(&[
            (&dir.join(KEY_FILE), &secret, SECRET),
            (&dir.join(CA_FILE), &certificate.pem(), PUBLIC),
            (&dir.join(CRL_FILE), &list, PUBLIC),
        ])?;
        Self::open(dir)
    }

    /// Opens the authority in a folder.
    ///
    /// # Errors
    /// [`CertsError`]: no authority there, or files that are not usable.
    pub fn open(dir: &Path) -> Result<Self, CertsError> {
        let (ca_file, key_file) = (dir.join(CA_FILE), dir.join(KEY_FILE));
        if !ca_file.exists() {
            return Err(CertsError::NoAuthority { dir: dir.to_owned() });
        }
        let certificate = first_certificate(&ca_file)?;
        let (cluster, public_key) = with_parsed(&ca_file, &certificate, |parsed| {
            let cluster = parsed.subject().iter_organization().next().and_then(|o| o.as_str().ok());
            (cluster.unwrap_or_default().to_owned(), parsed.public_key().subject_public_key.data.to_vec())
        })?;
        check_name("cluster name", &cluster)?;
        let data =
            fs::metadata(&key_file).map_err(|source| CertsError::File { path: key_file.clone(), source })?;
        let mode = data.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(CertsError::KeyExposed { path: key_file, mode });
        }
        let unusable =
            |detail: &str| CertsError::Content { path: key_file.clone(), detail: detail.to_owned() };
        let key = KeyPair::from_pem(&read(&key_file)?).map_err(|_| unusable("it holds no private key"))?;
        if key.public_key_raw() != public_key {
            return Err(unusable("it does not belong to the ca.pem beside it"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { dir: dir.to_owned(), cluster, certificate, issuer })
    }

    /// The cluster that this authority signs for.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The authority's certificate, which every node needs.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join(CA_FILE)
    }

    /// The revocation list, which every node should have.
    #[must_use]
    pub fn crl_file(&self) -> PathBuf {
        self.dir.join(CRL_FILE)
    }

    /// The authority's key.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.dir.join(KEY_FILE)
    }

    /// Issues a certificate with a new key, as `ROLE-NAME.pem` and `ROLE-NAME.key` in `out`. Stores and frontends
    /// may serve and connect with it, admins and viewers only connect.
    ///
    /// # Errors
    /// [`CertsError`]: a bad name, or files that are there already.
    pub fn issue(
        &self,
        role: Role,
        name: &str,
        validity: Validity,
        out: &Path,
    ) -> Result<Issued, CertsError> {
        let identity = Identity::new(self.cluster.as_str(), role, name)?;
        let mut params = params(validity, &format!("{role} {name}"), &self.cluster);
        params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into()?)];
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if matches!(role, Role::Store | Role::Frontend) {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        fs::create_dir_all(out).map_err(|source| CertsError::File { path: out.to_owned(), source })?;
        let files = TlsFiles {
            ca: self.ca_file(),
            cert: out.join(format!("{role}-{name}.pem")),
            key: out.join(format!("{role}-{name}.key")),
            crl: Some(self.crl_file()),
        };
        write_set(&[(&files.key, &key.serialize_pem(), SECRET), (&files.cert, &certificate.pem(), PUBLIC)])?;
        Ok(Issued { identity, files })
    }

    /// Puts a certificate of this authority on the revocation list; says whose it was.
    ///
    /// # Errors
    /// [`CertsError`]: not ours, revoked already, or a list that cannot be read or replaced.
    pub fn revoke(&self, path: &Path) -> Result<Identity, CertsError> {
        let certificate = first_certificate(path)?;
        let facts = certificate_facts(&certificate)?;
        self.check_ours(path, &certificate, facts.not_after_unix_secs)?;
        let serial = with_parsed(path, &certificate, |parsed| parsed.raw_serial().to_vec())?;
        // Two revocations at once must not lose one another's entry.
        let guard = File::open(self.key_file()).and_then(|file| file.lock().map(|()| file));
        let _guard = guard.map_err(|source| CertsError::File { path: self.key_file(), source })?;
        let crl_file = self.crl_file();
        let mut list = Revocations::parse(&read(&crl_file)?)
            .map_err(|detail| CertsError::Content { path: crl_file.clone(), detail })?;
        if !list.add(&serial) {
            let identity = Box::new(facts.identity);
            return Err(CertsError::AlreadyRevoked { path: path.to_owned(), identity });
        }
        replace(&crl_file, &list.sign(&self.issuer)?, PUBLIC)?;
        Ok(facts.identity)
    }

    /// That our key signed a certificate, judged at its last second: an expired one can be revoked too.
    fn check_ours(
        &self,
        path: &Path,
        certificate: &CertificateDer<'static>,
        not_after_unix_secs: i64,
    ) -> Result<(), CertsError> {
        let not_ours = || CertsError::NotOurs { path: path.to_owned(), dir: self.dir.clone() };
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(|_| not_ours())?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|_| not_ours())?;
        verifier
            .verify_client_cert(
                certificate,
                &[],
                UnixTime::since_unix_epoch(since_epoch(not_after_unix_secs)),
            )
            .map(|_| ())
            .map_err(|_| not_ours())
    }
}

/// What a certificate file holds, for people: several lines.
///
/// # Errors
/// [`CertsError`] if the file cannot be read as a certificate.
pub fn inspect(path: &Path) -> Result<String, CertsError> {
    let certificate = first_certificate(path)?;
    with_parsed(path, &certificate, |parsed| {
        let who = match certificate_facts(&certificate) {
            Ok(facts) => facts.identity.to_string(),
            Err(_) if parsed.is_ca() => format!("certificate authority ({})", parsed.subject()),
            Err(error) => format!("nobody: {error}"),
        };
        let validity = parsed.validity();
        let left = (validity.not_after.timestamp() - now_unix_secs()).div_euclid(DAY_SECS);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "identity    {who}");
        let _ = writeln!(text, "serial      {}", parsed.raw_serial_as_string());
        let _ = writeln!(text, "signed by   {}", parsed.issuer());
        let _ = writeln!(text, "valid from  {}", validity.not_before);
        let _ = match left {
            0.. => writeln!(text, "valid to    {} ({left} days left)", validity.not_after),
            _ => writeln!(text, "valid to    {} (EXPIRED: issue a new one)", validity.not_after),
        };
        text
    })
}

fn params(validity: Validity, common_name: &str, cluster: &str) -> CertificateParams {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, cluster);
    name.push(DnType::CommonName, common_name);
    let mut params = CertificateParams::default();
    params.distinguished_name = name;
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(validity.not_before_unix_secs);
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(validity.not_after_unix_secs);
    params
}

fn first_certificate(path: &Path) -> Result<CertificateDer<'static>, CertsError> {
    CertificateDer::from_pem_slice(read(path)?.as_bytes())
        .map_err(|e| CertsError::Content { path: path.to_owned(), detail: e.to_string() })
}

fn with_parsed<T>(
    path: &Path,
    certificate: &CertificateDer<'_>,
    look: impl FnOnce(&X509Certificate<'_>) -> T,
) -> Result<T, CertsError> {
    X509Certificate::from_der(certificate)
        .map(|(_, parsed)| look(&parsed))
        .map_err(|e| CertsError::Content { path: path.to_owned(), detail: e.to_string() })
}

/// The wall clock, in seconds of Unix time; 0 before 1970.
pub(super) fn now_unix_secs() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// The span from 1970 to a moment; times before 1970 become 1970. Added to `date_time_ymd(1970, 1, 1)` it is the
/// moment as the certificate library wants it.
pub(super) fn since_epoch(unix_secs: i64) -> Duration {
    Duration::from_secs(u64::try_from(unix_secs).unwrap_or(0))
}
