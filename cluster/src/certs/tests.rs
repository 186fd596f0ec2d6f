//! Certificates made by `leasehold certs`, as the nodes' own loader and the command's user see them.
//!
//! Owns: that what is issued loads, that nothing is overwritten, and that revocation is kept. Refuses to know:
//! the fine points of handshakes, which are tested beside their code in `proto`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Parser;
use leasehold_proto::tls::{ExpectedServer, Limits, Material, Security, connector, endpoint, listen, server};
use tempfile::TempDir;

use super::list::Revocations;
use super::*;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    certs: CertsCommand,
}

fn command(arguments: &[&str]) -> anyhow::Result<()> {
    run(Command::try_parse_from([&["certs"], arguments].concat())?.certs)
}

fn authority() -> (TempDir, CertificateAuthority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::create(dir.path(), "berlin").unwrap();
    (dir, authority)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_role_gets_a_certificate_that_loads() {
    let (dir, authority) = authority();
    assert_eq!(authority.cluster(), "berlin");
    assert_eq!(mode(&authority.key_file()), 0o600);
    for role in Role::ALL {
        let issued = authority.issue(role, "n-1", Validity::days(30).unwrap(), dir.path()).unwrap();
        let material = Material::load(&issued.files).unwrap();
        assert_eq!(material.identity().to_string(), format!("leasehold://berlin/{role}/n-1"));
        assert_eq!(material.not_after_unix_secs() - material.not_before_unix_secs(), 31 * 86_400);
        assert_eq!(mode(&issued.files.key), 0o600);
    }
}

#[test]
fn nothing_is_overwritten() {
    let (dir, authority) = authority();
    let days = Validity::days(1).unwrap();
    let first = authority.issue(Role::Store, "a", days, dir.path()).unwrap();
    let before = fs::read(&first.files.cert).unwrap();
    let again = authority.issue(Role::Store, "a", days, dir.path());
    assert!(matches!(again, Err(CertsError::Exists { .. })), "{again:?}");
    assert_eq!(fs::read(&first.files.cert).unwrap(), before);

    // Only the certificate is in the way: no key is left behind.
    fs::remove_file(&first.files.key).unwrap();
    assert!(authority.issue(Role::Store, "a", days, dir.path()).is_err());
    assert!(!first.files.key.exists());

    let anew = CertificateAuthority::create(dir.path(), "berlin");
    assert!(matches!(anew, Err(CertsError::Exists { .. })));
    assert!(CertificateAuthority::open(dir.path()).is_ok());
}

#[test]
fn revocations_add_up_and_survive() {
    let (dir, authority) = authority();
    let days = Validity::days(1).unwrap();
    let mut lengths = vec![fs::metadata(authority.crl_file()).unwrap().len()];
    let mut serials = Vec::new();
    for name in ["a", "b", "c"] {
        let issued = authority.issue(Role::Frontend, name, days, dir.path()).unwrap();
        let who = CertificateAuthority::open(dir.path()).unwrap().revoke(&issued.files.cert).unwrap();
        assert_eq!(who, issued.identity);
        let again = authority.revoke(&issued.files.cert);
        assert!(matches!(again, Err(CertsError::AlreadyRevoked { .. })), "{again:?}");
        lengths.push(fs::metadata(authority.crl_file()).unwrap().len());
        let (_, pem) = x509_parser::pem::parse_x509_pem(&fs::read(&issued.files.cert).unwrap()).unwrap();
        serials.push(pem.parse_x509().unwrap().raw_serial().to_vec());
    }
    assert!(lengths.is_sorted_by(|a, b| a < b), "{lengths:?}");
    let list = Revocations::parse(&fs::read_to_string(authority.crl_file()).unwrap()).unwrap();
    assert!(serials.iter().all(|serial| list.contains(serial)));
    // The nodes' loader takes the list.
    let issued = authority.issue(Role::Store, "d", days, dir.path()).unwrap();
    assert!(Material::load(&issued.files).is_ok());
}

#[test]
fn an_expired_certificate_can_be_made_for_tests_and_revoked() {
    let (dir, authority) = authority();
    let past = Validity { not_before_unix_secs: 1_000_000_000, not_after_unix_secs: 1_000_086_400 };
    let issued = authority.issue(Role::Admin, "old", past, dir.path()).unwrap();
    assert!(inspect(&issued.files.cert).unwrap().contains("EXPIRED"));
    assert!(authority.revoke(&issued.files.cert).is_ok());
}

#[test]
fn only_its_own_certificates_are_revoked() {
    let ((_ours_dir, ours), (theirs_dir, theirs)) = (authority(), authority());
    let stranger = theirs.issue(Role::Store, "a", Validity::days(1).unwrap(), theirs_dir.path()).unwrap();
    let refused = ours.revoke(&stranger.files.cert);
    assert!(matches!(refused, Err(CertsError::NotOurs { .. })), "{refused:?}");
}

#[test]
fn bad_input_is_refused_with_a_remedy() {
    let (dir, authority) = authority();
    let empty = tempfile::tempdir().unwrap();
    let days = Validity::days(1).unwrap();
    assert!(authority.issue(Role::Store, "Not Strict", days, dir.path()).is_err());
    assert!(CertificateAuthority::create(empty.path(), "Not Strict").is_err());
    assert!(matches!(Validity::days(0), Err(CertsError::Days { .. })));
    assert!(matches!(Validity::days(7301), Err(CertsError::Days { .. })));
    let nothing = CertificateAuthority::open(empty.path()).unwrap_err();
    assert!(nothing.to_string().contains("leasehold certs init"), "{nothing}");

    fs::set_permissions(authority.key_file(), fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = CertificateAuthority::open(dir.path()).unwrap_err();
    assert!(exposed.to_string().contains("chmod 600"), "{exposed}");

    let other = tempfile::tempdir().unwrap();
    let other = CertificateAuthority::create(other.path(), "berlin").map(|_| other).unwrap();
    fs::copy(other.path().join("ca.key"), authority.key_file()).unwrap();
    fs::set_permissions(authority.key_file(), fs::Permissions::from_mode(0o600)).unwrap();
    let mismatch = CertificateAuthority::open(dir.path()).unwrap_err();
    assert!(mismatch.to_string().contains("does not belong to"), "{mismatch}");
}

#[test]
fn the_command_does_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, out) = (dir.path().join("ca"), dir.path().join("out"));
    let (ca_text, out_text) = (ca.to_str().unwrap(), out.to_str().unwrap());
    command(&["init", "--dir", ca_text, "--cluster", "berlin"]).unwrap();
    command(&["issue", "--dir", ca_text, "--role", "store", "--name", "s1", "--out", out_text]).unwrap();
    let cert = out.join("store-s1.pem");
    let shown = inspect(&cert).unwrap();
    assert!(shown.contains("leasehold://berlin/store/s1") && shown.contains("365 days left"), "{shown}");
    assert!(inspect(&ca.join("ca.pem")).unwrap().contains("certificate authority"));
    command(&["show", cert.to_str().unwrap()]).unwrap();
    command(&["revoke", "--dir", ca_text, cert.to_str().unwrap()]).unwrap();
    assert!(command(&["revoke", "--dir", ca_text, cert.to_str().unwrap()]).is_err());
    assert!(command(&["issue", "--dir", ca_text, "--role", "king", "--name", "s1"]).is_err());
}

#[test]
fn the_printed_configuration_is_toml_that_reads_back() {
    let (dir, authority) = authority();
    let issued = authority.issue(Role::Viewer, "v", Validity::days(1).unwrap(), dir.path()).unwrap();
    let text = configuration(&issued.files).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let files: TlsFiles = table["tls"].clone().try_into().unwrap();
    assert_eq!(files, issued.files);
}

#[tokio::test]
async fn fo_301_issued_certificates_connect_until_they_are_revoked() {
    let (dir, authority) = authority();
    let days = Validity::days(1).unwrap();
    let store = authority.issue(Role::Store, "s1", days, dir.path()).unwrap();
    let frontend = authority.issue(Role::Frontend, "fe-a", days, dir.path()).unwrap();
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let incoming = listen(listener, &Security::open(store.files).unwrap(), Limits::default()).unwrap();
    let address = incoming.local_address().to_string();
    let routes = tonic::service::Routes::default();
    tokio::spawn(server().add_routes(routes).serve_with_incoming(incoming));

    let security = Security::open(frontend.files.clone()).unwrap();
    let connect = || {
        let connector = connector(&security, ExpectedServer::store("berlin", "s1"));
        let endpoint = endpoint(&address).unwrap();
        async move { endpoint.connect_with_connector(connector).await }
    };
    connect().await.unwrap();
    authority.revoke(&frontend.files.cert).unwrap();
    let refused = connect().await.unwrap_err();
    assert!(format!("{refused:?}").contains("our certificate has been revoked"), "{refused:?}");
}
