//! Certificates of a test's own.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

/// Writes `ca.pem`, and `name.pem` with `name.key` for each of those.
pub(crate) fn certificates(folder: &Path) {
    let mut ca = CertificateParams::default();
    // OpenSSL takes a certificate with its issuer's name for one that signed itself.
    ca.distinguished_name.push(DnType::CommonName, "an authority of a test");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().expect("a key")).expect("a certificate");
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("it can be written");
    write("ca.pem", ca.pem());
    for name in ["server", "client"] {
        let key = KeyPair::generate().expect("a key");
        let mut own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        own.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        write(&format!("{name}.pem"), own.signed_by(&key, &ca).expect("a certificate").pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}
