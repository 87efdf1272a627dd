//! Keys: RSA, ECDSA on the curves P-256, P-384 and P-521, Ed25519; drawn, read and written in the forms that tools take.

use super::der::{self, BITS, BYTES, CONTEXT, NULL, OID, Reader, element, number, sequence};
use super::{pem, ssh};
use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm};

/// Object identifiers in their encoded form.
const RSA_OID: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_OID: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519_OID: [u8; 3] = [0x2b, 0x65, 0x70];

/// A curve of NIST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// As Terraform names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P256",
            Self::P384 => "P384",
            Self::P521 => "P521",
        }
    }

    /// As SSH names it.
    pub(super) fn ssh(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    fn oid(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
        }
    }

    /// Bytes of a private key.
    fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn signing(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::P521 => &rcgen::PKCS_ECDSA_P521_SHA512,
        }
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Public {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { curve: Curve, point: Vec<u8> },
    Ed25519(Vec<u8>),
}

impl Public {
    /// As Terraform names the algorithm.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::Ec { .. } => "ECDSA",
            Self::Ed25519(_) => "ED25519",
        }
    }

    /// SubjectPublicKeyInfo of RFC 5280 section 4.1.
    pub(super) fn info(&self) -> Vec<u8> {
        let (identifier, key) = match self {
            Self::Rsa { modulus, exponent } => (rsa_identifier(), sequence(&[&number(modulus), &number(exponent)])),
            Self::Ec { curve, point } => (ec_identifier(*curve), point.clone()),
            Self::Ed25519(bytes) => (sequence(&[&element(OID, &ED25519_OID)]), bytes.clone()),
        };
        let bits = [&[0][..], &key].concat();
        sequence(&[&identifier, &element(BITS, &bits)])
    }
}

fn rsa_identifier() -> Vec<u8> {
    sequence(&[&element(OID, &RSA_OID), &NULL])
}

fn ec_identifier(curve: Curve) -> Vec<u8> {
    sequence(&[&element(OID, &EC_OID), &element(OID, curve.oid())])
}

/// Digits of an RSA key, as PKCS#1 orders them after the version.
type RsaDigits = [Vec<u8>; 8];

/// What is secret of a key.
enum Secret {
    Rsa(Box<RsaDigits>),
    Ec(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key with its secret. It does not show itself.
pub(super) struct Key {
    pub(super) public: Public,
    secret: Secret,
    /// Signs.
    pub(super) pair: KeyPair,
}

/// What to draw.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Rsa(rcgen::RsaKeySize),
    Ecdsa(Curve),
    Ed25519,
}

impl Key {
    /// Draws a key.
    pub(super) fn draw(wanted: Wanted) -> Result<Self, String> {
        let drawn = match wanted {
            Wanted::Rsa(bits) => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, bits),
            Wanted::Ecdsa(curve) => KeyPair::generate_for(curve.signing()),
            Wanted::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
        };
        let drawn = drawn.map_err(|error| format!("no key could be drawn: {error}"))?;
        Self::of_pkcs8(&drawn.serialize_der())
    }

    /// Reads a private key in PEM, of PKCS#1, SEC 1 or PKCS#8.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (label, bytes) = pem::decode(text)?;
        match label.as_str() {
            "PRIVATE KEY" => Self::of_pkcs8(&bytes),
            "RSA PRIVATE KEY" => Self::of_pkcs8(&wrapped(&rsa_identifier(), &bytes)),
            "EC PRIVATE KEY" => {
                let curve =
                    sec1_curve(&bytes).ok_or("the EC key does not say its curve, or is on none that is known")?;
                Self::of_pkcs8(&wrapped(&ec_identifier(curve), &bytes))
            }
            "OPENSSH PRIVATE KEY" => {
                Err("a key in OpenSSH's form stands here; ssh-keygen -p -m pem turns it into PEM".to_owned())
            }
            other => Err(format!("a PEM block {other} is no private key")),
        }
    }

    fn of_pkcs8(bytes: &[u8]) -> Result<Self, String> {
        let known = known(bytes)
            .ok_or("the private key is of no kind that is known: RSA, ECDSA (P256, P384, P521), ED25519")?;
        let (secret, algorithm, pkcs8) = match known {
            Known::Rsa(digits) => {
                let pkcs8 = wrapped(&rsa_identifier(), &pkcs1(&digits));
                (Secret::Rsa(digits), &rcgen::PKCS_RSA_SHA256, pkcs8)
            }
            Known::Ec(curve, scalar) => {
                let pkcs8 = wrapped(&ec_identifier(curve), &sec1(&scalar, None, None));
                (Secret::Ec(scalar), curve.signing(), pkcs8)
            }
            Known::Ed25519(seed) => {
                let pkcs8 = wrapped(&sequence(&[&element(OID, &ED25519_OID)]), &element(BYTES, &seed));
                (Secret::Ed25519(seed), &rcgen::PKCS_ED25519, pkcs8)
            }
        };
        let pair = KeyPair::from_pem_and_sign_algo(&pem::encode("PRIVATE KEY", &pkcs8), algorithm)
            .map_err(|error| format!("the private key cannot be used: {error}"))?;
        let raw = pair.der_bytes().to_vec();
        let public = match &secret {
            Secret::Rsa(digits) => Public::Rsa { modulus: digits[0].clone(), exponent: digits[1].clone() },
            Secret::Ec(scalar) => {
                let curve = Curve::ALL.into_iter().find(|c| c.bytes() == scalar.len());
                Public::Ec { curve: curve.ok_or("the private key has a length that no curve has")?, point: raw }
            }
            Secret::Ed25519(_) => Public::Ed25519(raw),
        };
        Ok(Self { public, secret, pair })
    }

    /// The form of its own: PKCS#1 for RSA, SEC 1 for ECDSA, PKCS#8 for Ed25519.
    pub(super) fn pem(&self) -> String {
        match (&self.secret, &self.public) {
            (Secret::Rsa(digits), _) => pem::encode("RSA PRIVATE KEY", &pkcs1(digits)),
            (Secret::Ec(scalar), Public::Ec { curve, point }) => {
                pem::encode("EC PRIVATE KEY", &sec1(scalar, Some(*curve), Some(point)))
            }
            _ => self.pkcs8_pem(),
        }
    }

    /// PKCS#8.
    pub(super) fn pkcs8_pem(&self) -> String {
        let bytes = match (&self.secret, &self.public) {
            (Secret::Rsa(digits), _) => wrapped(&rsa_identifier(), &pkcs1(digits)),
            (Secret::Ec(scalar), Public::Ec { curve, point }) => {
                wrapped(&ec_identifier(*curve), &sec1(scalar, None, Some(point)))
            }
            (Secret::Ec(scalar) | Secret::Ed25519(scalar), _) => {
                wrapped(&sequence(&[&element(OID, &ED25519_OID)]), &element(BYTES, scalar))
            }
        };
        pem::encode("PRIVATE KEY", &bytes)
    }

    /// OpenSSH's form, without a passphrase.
    pub(super) fn openssh(&self) -> String {
        let secret = match &self.secret {
            Secret::Rsa(digits) => {
                let [n, e, d, p, q, _, _, inverse] = &**digits;
                [n, e, d, inverse, p, q].iter().flat_map(|digits| ssh::text(&der::signed(digits))).collect()
            }
            Secret::Ec(scalar) => ssh::text(&der::signed(scalar)),
            Secret::Ed25519(seed) => match &self.public {
                Public::Ed25519(public) => ssh::text(&[&seed[..], public].concat()),
                _ => vec![],
            },
        };
        ssh::private(&self.public, &secret)
    }
}

/// A version: one digit, even when it is 0.
const fn version(number: u8) -> [u8; 3] {
    [der::INTEGER, 1, number]
}

/// PKCS#8 of RFC 5208 around a key.
fn wrapped(identifier: &[u8], key: &[u8]) -> Vec<u8> {
    sequence(&[&version(0), identifier, &element(BYTES, key)])
}

fn pkcs1(digits: &RsaDigits) -> Vec<u8> {
    let numbers: Vec<Vec<u8>> = digits.iter().map(|d| number(d)).collect();
    let parts: Vec<&[u8]> = numbers.iter().map(Vec::as_slice).collect();
    sequence(&[&version(0), &parts.concat()])
}

/// ECPrivateKey of RFC 5915.
fn sec1(scalar: &[u8], curve: Option<Curve>, point: Option<&[u8]>) -> Vec<u8> {
    let curve = curve.map(|c| element(CONTEXT[0], &element(OID, c.oid()))).unwrap_or_default();
    let point = point.map(|p| element(CONTEXT[1], &element(BITS, &[&[0][..], p].concat()))).unwrap_or_default();
    sequence(&[&version(1), &element(BYTES, scalar), &curve, &point])
}

fn sec1_curve(bytes: &[u8]) -> Option<Curve> {
    let mut inner = Reader(bytes).sequence()?;
    inner.number()?;
    inner.take(BYTES)?;
    let oid = Reader(inner.take(CONTEXT[0])?).take(OID)?;
    Curve::ALL.into_iter().find(|c| c.oid() == oid)
}

enum Known {
    Rsa(Box<RsaDigits>),
    Ec(Curve, Vec<u8>),
    Ed25519(Vec<u8>),
}

/// The parts of a key in PKCS#8.
fn known(bytes: &[u8]) -> Option<Known> {
    let mut whole = Reader(bytes).sequence()?;
    whole.number()?;
    let mut identifier = whole.sequence()?;
    let oid = identifier.take(OID)?;
    let key = whole.take(BYTES)?;
    if oid == RSA_OID {
        let mut inner = Reader(key).sequence()?;
        inner.number()?;
        let digits: Vec<Vec<u8>> = (0..8).map_while(|_| inner.number().map(<[u8]>::to_vec)).collect();
        return Some(Known::Rsa(Box::new(digits.try_into().ok()?)));
    }
    if oid == EC_OID {
        let named = identifier.take(OID)?;
        let curve = Curve::ALL.into_iter().find(|c| c.oid() == named)?;
        let mut inner = Reader(key).sequence()?;
        inner.number()?;
        let scalar = der::plain(inner.take(BYTES)?);
        let missing = curve.bytes().checked_sub(scalar.len())?;
        return Some(Known::Ec(curve, [vec![0; missing], scalar.to_vec()].concat()));
    }
    (oid == ED25519_OID).then(|| Reader(key).take(BYTES)).flatten().map(|seed| Known::Ed25519(seed.to_vec()))
}
