//! Secrets that both ends have.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;

/// The shortest secret, in bytes.
const SHORTEST: usize = 16;
/// The longest name of a key, in bytes.
const LONGEST_ID: usize = 64;

/// A secret that two ends have, and the name that they tell it by. `Debug` never shows the
/// secret.
///
/// ```
/// use dora::auth::SigningKey;
///
/// let key = SigningKey::new("billing-2026", "thirty-two bytes from a generator")?;
/// assert_eq!(format!("{key:?}"), r#"SigningKey("billing-2026")"#);
/// # Ok::<(), dora::auth::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    id: Arc<str>,
    secret: Arc<[u8]>,
}

/// Why something is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The secret is too short to be one.
    #[error(
        "the secret of key {id:?} has {bytes} bytes: it needs at least 16, and 32 from a generator are good"
    )]
    Short {
        /// The name of the key.
        id: String,
        /// The bytes of its secret.
        bytes: usize,
    },
    /// The name cannot travel.
    #[error("the name of a key has 1 to 64 of the characters a-z, A-Z, 0-9, `.`, `_`, `-`, unlike {id:?}")]
    Name {
        /// The name.
        id: String,
    },
    /// Two keys have one name.
    #[error("there are two keys of the name {id:?}")]
    Twice {
        /// The name.
        id: String,
    },
}

impl SigningKey {
    /// The key `id` with this secret.
    ///
    /// # Errors
    /// The secret has under 16 bytes, or the name not 1 to 64 letters, digits and `.`, `_`,
    /// `-`.
    pub fn new(id: impl Into<Arc<str>>, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let (id, secret) = (id.into(), secret.as_ref());
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if !(1..=LONGEST_ID).contains(&id.len()) || !id.bytes().all(fits) {
            return Err(KeyError::Name { id: (*id).to_owned() });
        }
        if secret.len() < SHORTEST {
            return Err(KeyError::Short { id: (*id).to_owned(), bytes: secret.len() });
        }
        Ok(Self { id, secret: secret.into() })
    }

    /// The name.
    #[must_use]
    pub const fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.id).finish()
    }
}

/// The keys that a server believes. Clones are the same ring: to change a secret, add the
/// new key to the ring of the servers, then give it to the clients, then take the old one
/// out.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<RwLock<Vec<SigningKey>>>);

impl Keyring {
    /// A ring of these keys.
    ///
    /// # Errors
    /// Two of them have one name.
    pub fn new(keys: impl IntoIterator<Item = SigningKey>) -> Result<Self, KeyError> {
        Ok(Self(Arc::new(RwLock::new(checked(keys)?))))
    }

    /// Believes these keys from now on, in place of those before.
    ///
    /// # Errors
    /// Two of them have one name: nothing is changed.
    pub fn replace(&self, keys: impl IntoIterator<Item = SigningKey>) -> Result<(), KeyError> {
        *self.0.write() = checked(keys)?;
        Ok(())
    }

    pub(super) fn get(&self, id: &str) -> Option<SigningKey> {
        self.0.read().iter().find(|key| *key.id == *id).cloned()
    }
}

fn checked(keys: impl IntoIterator<Item = SigningKey>) -> Result<Vec<SigningKey>, KeyError> {
    let mut checked: Vec<SigningKey> = Vec::new();
    for key in keys {
        if checked.iter().any(|other| other.id == key.id) {
            return Err(KeyError::Twice { id: (*key.id).to_owned() });
        }
        checked.push(key);
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_why() {
        let secret = [7; 32];
        assert!(SigningKey::new("a.b_c-1", secret).is_ok());
        for id in ["", "a b", "a;b", "ä", &"x".repeat(65)] {
            assert_eq!(
                SigningKey::new(id, secret).expect_err("no name"),
                KeyError::Name { id: id.to_owned() }
            );
        }
        let short = SigningKey::new("a", [7; 15]).expect_err("too short");
        assert!(short.to_string().contains("has 15 bytes"), "{short}");
        let twice = Keyring::new(["a", "a"].map(|id| SigningKey::new(id, secret).expect("a key")));
        assert_eq!(twice.expect_err("one name"), KeyError::Twice { id: "a".to_owned() });
    }

    #[test]
    fn no_secret_is_shown() {
        let key = SigningKey::new("a", "0123456789abcdef").expect("a key");
        let ring = Keyring::new([key.clone()]).expect("a ring");
        for text in [format!("{key:?}"), format!("{ring:?}")] {
            assert!(!text.contains("0123"), "{text}");
        }
    }
}
