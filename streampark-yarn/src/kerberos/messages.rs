//! Kerberos' messages (RFC 4120), and the token that HTTP carries them in (RFC 4121, 4178, 4559).

use bytes::Bytes;
use rand::Rng as _;
use streampark_core::{Error, ErrorKind, Result};

use super::credential::Credential;
use super::der::{self, Element, application, broken, field, integer, octets, sequence};
use super::keys::{Key, TYPES, usage};
use super::principal::Principal;

const AS_REQ: u8 = 10;
const AS_REP: u8 = 11;
const TGS_REQ: u8 = 12;
const TGS_REP: u8 = 13;
const AP_REQ: u8 = 14;
const KRB_ERROR: u8 = 30;

/// Flags of a request to a KDC (section 5.4.1); the first is one of tickets too (section 5.3).
const RENEWABLE: u8 = 8;
const CANONICALIZE: u8 = 15;
const RENEW: u8 = 30;

/// As long as the KDC allows: the last time that 32 bits hold.
const FOR_LONG: i64 = 2_145_916_800;

/// The moment of a message. No two are the same, since a service refuses a repeated one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) seconds: i64,
    pub(super) micros: i64,
}

impl Moment {
    pub(super) fn of(micros: i64) -> Self {
        Self { seconds: micros.div_euclid(1_000_000), micros: micros.rem_euclid(1_000_000) }
    }
}

/// What a KDC said, decoded but for what is sealed.
#[derive(Debug)]
pub(super) enum Answer {
    Ticket(Reply),
    Refused(Refusal),
}

#[derive(Debug)]
pub(super) struct Reply {
    ticket: Bytes,
    /// The type of the key that seals the rest.
    pub(super) sealed_by: i64,
    sealed: Vec<u8>,
}

/// `KRB-ERROR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    /// The KDC's own time.
    pub(super) server_time: i64,
    pub(super) text: Option<String>,
}

fn sealed(key: &Key, usage: i32, plain: &[u8]) -> Result<Vec<u8>> {
    Ok(sequence([field(0, &integer(key.kind)), field(2, &octets(&key.encrypt(usage, plain)?))]))
}

fn nonce() -> i64 {
    i64::from(rand::rng().next_u32() >> 1)
}

/// `KDC-REQ-BODY`, with its nonce.
fn body(options: &[u8], client: Option<&Principal>, realm: &str, server: &Principal) -> (Vec<u8>, i64) {
    let nonce = nonce();
    let mut parts = vec![field(0, &der::flags(options))];
    parts.extend(client.map(|client| field(1, &client.encode())));
    parts.extend([
        field(2, &der::text(realm)),
        field(3, &server.encode()),
        field(5, &der::time(FOR_LONG)),
        field(7, &integer(nonce)),
        field(8, &sequence(TYPES.map(integer))),
    ]);
    (sequence(parts), nonce)
}

fn request(kind: u8, proof: &[u8], body: &[u8]) -> Vec<u8> {
    let fields =
        [field(1, &integer(5)), field(2, &integer(i64::from(kind))), field(3, &sequence([proof])), field(4, body)];
    der::element(application(kind), &sequence(fields))
}

fn proof(kind: i64, value: &[u8]) -> Vec<u8> {
    sequence([field(1, &integer(kind)), field(2, &octets(value))])
}

/// Asks for a first ticket, proven by a key of the client; gives the message and its nonce.
pub(super) fn as_request(client: &Principal, key: &Key, at: Moment) -> Result<(Vec<u8>, i64)> {
    let stamp = sequence([field(0, &der::time(at.seconds)), field(1, &integer(at.micros))]);
    let stamp = proof(2, &sealed(key, usage::AS_REQ_TIMESTAMP, &stamp)?);
    let granting = Principal::granting(&client.realm, &client.realm);
    let (body, nonce) = body(&[], Some(client), &client.realm, &granting);
    Ok((request(AS_REQ, &stamp, &body), nonce))
}

/// What is asked of a ticket-granting service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// A ticket for a service; the KDC may send us to another realm.
    Service,
    /// The same ticket with a later end.
    Renewal,
}

/// Asks the service of `granting` for a ticket; gives the message and its nonce.
pub(super) fn tgs_request(
    client: &Principal,
    granting: &Credential,
    server: &Principal,
    wish: Wish,
    at: Moment,
) -> Result<(Vec<u8>, i64)> {
    let realm = granting.server.parts.get(1).map_or(granting.server.realm.as_str(), String::as_str);
    // A renewed ticket can be renewed again only where that is asked for.
    let options: &[u8] = if wish == Wish::Renewal { &[RENEWABLE, RENEW] } else { &[CANONICALIZE] };
    let (body, nonce) = body(options, None, realm, server);
    let checksum = granting.key.checksum(usage::TGS_REQ_CHECKSUM, &body)?;
    let authenticator = authenticator(client, &checksum, at);
    let ap = ap_request(granting, &authenticator, usage::TGS_REQ_AUTHENTICATOR)?;
    Ok((request(TGS_REQ, &proof(1, &ap), &body), nonce))
}

fn authenticator(client: &Principal, (kind, checksum): &(i64, Vec<u8>), at: Moment) -> Vec<u8> {
    let checksum = sequence([field(0, &integer(*kind)), field(1, &octets(checksum))]);
    let fields = [
        field(0, &integer(5)),
        field(1, &der::text(&client.realm)),
        field(2, &client.encode()),
        field(3, &checksum),
        field(4, &integer(at.micros)),
        field(5, &der::time(at.seconds)),
        field(7, &integer(nonce())),
    ];
    der::element(application(2), &sequence(fields))
}

fn ap_request(ticket: &Credential, authenticator: &[u8], usage: i32) -> Result<Vec<u8>> {
    let fields = [
        field(0, &integer(5)),
        field(1, &integer(i64::from(AP_REQ))),
        field(2, &der::flags(&[])),
        field(3, &ticket.ticket),
        field(4, &sealed(&ticket.key, usage, authenticator)?),
    ];
    Ok(der::element(application(AP_REQ), &sequence(fields)))
}

const KRB5: &[u8] = &[0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x12, 0x01, 0x02, 0x02];
const SPNEGO: &[u8] = &[0x06, 0x06, 0x2B, 0x06, 0x01, 0x05, 0x05, 0x02];

/// What follows `Negotiate` in a request: `NegTokenInit` with one mechanism and its first token.
pub(super) fn negotiate(client: &Principal, ticket: &Credential, at: Moment) -> Result<Vec<u8>> {
    // No channel is bound, and no flag is asked for (RFC 4121, section 4.1.1).
    let mut checksum = vec![0; 24];
    if let Some(first) = checksum.first_mut() {
        *first = 16;
    }
    let authenticator = authenticator(client, &(0x8003, checksum), at);
    let request = ap_request(ticket, &authenticator, usage::AP_REQ_AUTHENTICATOR)?;
    let token = der::element(application(0), &[KRB5, &[1, 0], &request].concat());
    let init = sequence([field(0, &sequence([KRB5])), field(2, &octets(&token))]);
    Ok(der::element(application(0), &[SPNEGO, &field(0, &init)].concat()))
}

/// Decodes what a KDC answered.
pub(super) fn answer(bytes: &[u8]) -> Result<Answer> {
    let mut reader = der::Reader::new(bytes);
    let outer = reader.next()?.ok_or_else(broken)?;
    let fields = Element::of(outer.content, der::SEQUENCE)?.fields()?;
    if outer.tag == application(KRB_ERROR) {
        return Ok(Answer::Refused(Refusal {
            code: fields.integer(6)?,
            server_time: fields.time(4)?,
            text: fields.text(11).ok().filter(|text| !text.trim_matches('\0').trim().is_empty()),
        }));
    }
    if ![application(AS_REP), application(TGS_REP)].contains(&outer.tag) {
        return Err(broken());
    }
    let sealed = fields.require(6, der::SEQUENCE)?.fields()?;
    Ok(Answer::Ticket(Reply {
        ticket: Bytes::copy_from_slice(fields.require(5, application(1))?.whole),
        sealed_by: sealed.integer(0)?,
        sealed: sealed.require(2, der::OCTET_STRING)?.content.to_vec(),
    }))
}

impl Reply {
    /// Opens the sealed part, and checks that it answers the request with this nonce.
    pub(super) fn open(self, key: &Key, usage: i32, expected: i64) -> Result<Credential> {
        let plain = key.decrypt(usage, &self.sealed)?;
        // `EncASRepPart` or `EncTGSRepPart`; some KDCs send the second for both.
        let outer = der::Reader::new(&plain).next()?.ok_or_else(broken)?;
        let fields = Element::of(outer.content, der::SEQUENCE)?.fields()?;
        if fields.integer(2)? != expected {
            return Err(Error::new(
                ErrorKind::UnexpectedResponse,
                "the KDC's answer does not belong to our request; is somebody in between?",
            ));
        }
        let session = fields.require(0, der::SEQUENCE)?.fields()?;
        let (kind, value) = (session.integer(0)?, session.require(1, der::OCTET_STRING)?.content);
        let key = Key::new(kind, value).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                format!("the KDC gives session keys of the type {kind}; allow aes256-cts-hmac-sha1-96 (18) there"),
            )
        })?;
        let flags = fields.require(4, der::BIT_STRING)?.content;
        let bit =
            |number: u8| flags.get(1 + usize::from(number / 8)).is_some_and(|byte| byte & (0x80 >> (number % 8)) != 0);
        let name = fields.require(10, der::SEQUENCE)?.fields()?;
        Ok(Credential {
            server: Principal { parts: der::texts(name.require(1, der::SEQUENCE)?)?, realm: fields.text(9)? },
            ticket: self.ticket,
            key,
            start: fields.time(6).or_else(|_| fields.time(5))?,
            end: fields.time(7)?,
            renew_till: fields.time(8).ok().filter(|_| bit(RENEWABLE)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read() {
        let fields = [
            field(0, &integer(5)),
            field(1, &integer(30)),
            field(4, &der::time(1_000_000_000)),
            field(5, &integer(0)),
            field(6, &integer(37)),
            field(9, &der::text("R")),
            field(11, &der::text("PREAUTH_FAILED")),
        ];
        let bytes = der::element(application(30), &sequence(fields));
        let Answer::Refused(refusal) = answer(&bytes).unwrap() else { panic!("a ticket") };
        let expected = Refusal { code: 37, server_time: 1_000_000_000, text: Some("PREAUTH_FAILED".to_owned()) };
        assert_eq!(refusal, expected);
    }

    #[test]
    fn an_answer_to_another_request_is_refused() {
        let key = Key::new(18, &[3; 32]).unwrap();
        let name = Principal::granting("R", "R");
        let told = kdc::Told { nonce: 77, server: &name, start: 100, end: 200, renew_till: Some(300) };
        let reply = || {
            let Answer::Ticket(reply) = answer(&kdc::reply(AS_REP, &key, usage::AS_REP, &told)).unwrap() else {
                panic!("a refusal")
            };
            reply
        };
        let got = reply().open(&key, usage::AS_REP, 77).unwrap();
        assert_eq!((got.start, got.end, got.renew_till, got.key.kind), (100, 200, Some(300), 17));
        assert_eq!(got.server, name);
        let error = reply().open(&key, usage::AS_REP, 78).unwrap_err();
        assert_eq!(error.message(), "the KDC's answer does not belong to our request; is somebody in between?");
    }
}

/// What a KDC says, for tests.
#[cfg(test)]
pub(super) mod kdc {
    use super::*;

    pub(crate) struct Told<'a> {
        pub(crate) nonce: i64,
        pub(crate) server: &'a Principal,
        pub(crate) start: i64,
        pub(crate) end: i64,
        pub(crate) renew_till: Option<i64>,
    }

    /// The key of every session.
    pub(crate) fn session() -> Key {
        Key::new(17, &[7; 16]).unwrap()
    }

    pub(crate) fn reply(kind: u8, key: &Key, usage: i32, told: &Told<'_>) -> Vec<u8> {
        let session = sequence([field(0, &integer(17)), field(1, &octets(&[7; 16]))]);
        let mut inner = vec![
            field(0, &session),
            field(2, &integer(told.nonce)),
            field(4, &der::flags(if told.renew_till.is_some() { &[8] } else { &[] })),
            field(5, &der::time(told.start)),
            field(7, &der::time(told.end)),
        ];
        inner.extend(told.renew_till.map(|till| field(8, &der::time(till))));
        inner.extend([field(9, &der::text(&told.server.realm)), field(10, &told.server.encode())]);
        let inner = der::element(application(if kind == AS_REP { 25 } else { 26 }), &sequence(inner));
        let ticket = der::element(application(1), &sequence([field(0, &integer(5))]));
        let sealed = sealed(key, usage, &inner).unwrap();
        der::element(application(kind), &sequence([field(5, &ticket), field(6, &sealed)]))
    }

    pub(crate) fn refusal(code: i64, time: i64) -> Vec<u8> {
        let fields = [field(4, &der::time(time)), field(6, &integer(code)), field(11, &der::text("WORDS\0"))];
        der::element(application(KRB_ERROR), &sequence(fields))
    }

    /// What a client asks for.
    #[derive(Debug)]
    pub(crate) struct Asked {
        pub(crate) first: bool,
        pub(crate) renewal: bool,
        /// Whether it should be renewable.
        pub(crate) renewable: bool,
        pub(crate) nonce: i64,
        pub(crate) server: Principal,
    }

    pub(crate) fn asked(bytes: &[u8]) -> Asked {
        let outer = der::Reader::new(bytes).next().unwrap().unwrap();
        let fields = Element::of(outer.content, der::SEQUENCE).unwrap().fields().unwrap();
        let body = fields.require(4, der::SEQUENCE).unwrap().fields().unwrap();
        let name = body.require(3, der::SEQUENCE).unwrap().fields().unwrap();
        Asked {
            first: outer.tag == application(AS_REQ),
            renewal: body.require(0, der::BIT_STRING).unwrap().content.get(4).is_some_and(|byte| byte & 2 != 0),
            renewable: body.require(0, der::BIT_STRING).unwrap().content.get(2).is_some_and(|byte| byte & 0x80 != 0),
            nonce: body.integer(7).unwrap(),
            server: Principal {
                parts: der::texts(name.require(1, der::SEQUENCE).unwrap()).unwrap(),
                realm: body.text(2).unwrap(),
            },
        }
    }
}
