//! Certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::identity::Identity;
use super::trust::Trust;

/// An authority of a test.
pub(in crate::transport) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(in crate::transport) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    pub(in crate::transport) fn trust(&self) -> Trust {
        Trust::from_pem(self.0.pem()).expect("a trust")
    }

    /// An identity for a server of that name, or a client.
    pub(in crate::transport) fn issue(&self, name: &str) -> Identity {
        let (chain, key) = self.issue_pem(name);
        Identity::from_pem(chain, key).expect("an identity")
    }

    fn issue_pem(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.0).expect("signed").pem(), key.serialize_pem())
    }
}

#[test]
fn what_cannot_be_used_is_said_when_it_is_loaded() {
    let authority = Authority::new();
    let ((chain, _), (_, other_key)) = (authority.issue_pem("a"), authority.issue_pem("b"));
    let error = |chain: &str, key: &str| Identity::from_pem(chain, key).expect_err("unusable").to_string();
    assert!(error("", "").contains("no certificate"));
    assert!(error(&chain, &chain).contains("no private key"));
    assert!(error(&chain, &other_key).contains("KeyMismatch"));
    assert!(error(&other_key, &other_key).contains("a private key: are certificate and key swapped?"));
    assert!(error(&chain, &chain).contains("a certificate: are certificate and key swapped?"));
    let (other_chain, own_key) = authority.issue_pem("c");
    for (chain, key) in [(&chain, &own_key), (&other_chain, &other_key)] {
        assert!(error(chain, key).contains("the key is not the certificate's"), "whichever was changed");
    }
    assert!(Identity::from_pem(&other_chain, &own_key).is_ok(), "those that belong together");
    assert!(Trust::from_pem(other_key).expect_err("a key").to_string().contains("no certificate"));
    let missing = Identity::from_files("/nowhere/chain.pem", "key.pem").expect_err("no file").to_string();
    assert!(missing.starts_with("/nowhere/chain.pem: "), "{missing}");
}
