//! What is refused when certificates are loaded, before any connection: every message names the file and the remedy.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::authority::Authority;
use crate::identity::Role;
use crate::tls::{Material, MutualTls, Security, TlsError};

#[test]
fn good_files_tell_identity_and_expiry() {
    let mut authority = Authority::new();
    let files = authority.issue_until("berlin", Role::Frontend, "fe-a", 4_000_000_000).files;
    let material = Material::load(&files).unwrap();
    assert_eq!(material.identity().to_string(), "leasehold://berlin/frontend/fe-a");
    assert_eq!(material.not_after_unix_secs(), 4_000_000_000);
    assert_eq!(Security::open(files).unwrap().identity().unwrap().name(), "fe-a");
}

#[test]
fn an_expired_certificate_loads_because_its_peers_judge_the_date() {
    let mut authority = Authority::new();
    let files = authority.issue_until("berlin", Role::Store, "s", 1_000_000_000).files;
    assert_eq!(Material::load(&files).unwrap().not_after_unix_secs(), 1_000_000_000);
}

#[test]
fn a_key_that_everyone_can_read_is_refused() {
    let mut authority = Authority::new();
    let files = authority.issue("berlin", Role::Store, "s").files;
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Material::load(&files).unwrap_err();
    assert!(matches!(error, TlsError::KeyExposed { mode: 0o644, .. }), "{error}");
    assert!(error.to_string().contains("chmod 600") && error.to_string().contains("-s.key"), "{error}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let mut authority = Authority::new();
    let mut files = authority.issue("berlin", Role::Store, "s").files;
    files.key = authority.issue("berlin", Role::Store, "t").files.key;
    assert!(matches!(Material::load(&files), Err(TlsError::KeyMismatch { .. })));
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let mut files = Authority::new().issue("berlin", Role::Store, "gone").files;
    let (mut ours, mut theirs) = (Authority::new(), Authority::new());
    assert!(matches!(Material::load(&files), Err(TlsError::Read { .. })));
    files = ours.issue("berlin", Role::Store, "s").files;
    files.ca = theirs.issue("berlin", Role::Store, "s").files.ca;
    let error = Material::load(&files).unwrap_err();
    assert!(matches!(error, TlsError::Chain { .. }), "{error}");
}

#[test]
fn a_certificate_without_identity_is_refused() {
    let mut authority = Authority::new();
    let mut files = authority.issue("berlin", Role::Store, "s").files;
    files.cert = files.ca.clone();
    let error = Material::load(&files).unwrap_err();
    assert!(error.to_string().contains("no leasehold:// identity"), "{error}");
}

#[test]
fn files_that_hold_something_else_are_refused() {
    let mut authority = Authority::new();
    let good = authority.issue("berlin", Role::Store, "s").files;
    for spoil in 0..4 {
        let mut files = good.clone();
        let other = authority.path().join("other");
        fs::write(&other, "nothing of use").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
        match spoil {
            0 => files.ca = other,
            1 => files.cert = other,
            2 => files.key = other,
            _ => files.crl = Some(other),
        }
        let error = Material::load(&files).unwrap_err();
        assert!(matches!(error, TlsError::Content { .. }), "{error}");
        assert!(error.to_string().contains("/other is not usable"), "{error}");
    }
}

#[test]
fn a_change_that_cannot_be_used_leaves_the_old_certificates_in_place() {
    let mut authority = Authority::new();
    let files = authority.issue("berlin", Role::Store, "s").files;
    let tls = MutualTls::open(files.clone()).unwrap();
    assert!(!tls.reload().unwrap());
    let before = tls.current().not_after_unix_secs();

    fs::write(&files.cert, "half a file").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Content { .. })));
    assert!(!tls.reload().unwrap(), "told once for each change");
    assert_eq!(tls.current().not_after_unix_secs(), before);

    let other = authority.issue("berlin", Role::Store, "t").files;
    fs::copy(&other.cert, &files.cert).unwrap();
    fs::copy(&other.key, &files.key).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::IdentityChanged { .. })));

    authority.issue_until("berlin", Role::Store, "s", before + 1);
    assert!(tls.reload().unwrap());
    assert_eq!(tls.current().not_after_unix_secs(), before + 1);
}
