use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex as StdMutex};

use streampark_core::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::files::tests::{entry, keytab, named, ticket};
use super::super::keys::Key;
use super::super::messages::kdc::{Asked, Told, asked, refusal, reply, session};
use super::*;

const LIFE: i64 = 100;

#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Hand {
    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// Gives everybody a ticket for `LIFE` seconds, or refuses everybody.
struct Kdc {
    port: u16,
    asked: Arc<StdMutex<Vec<Asked>>>,
    refuses: Arc<AtomicI64>,
    silent: Arc<AtomicBool>,
}

impl Kdc {
    async fn start(clock: Arc<Hand>, client: Key) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kdc = Self { port, asked: Arc::default(), refuses: Arc::default(), silent: Arc::default() };
        let (all, refuses, silent) = (Arc::clone(&kdc.asked), Arc::clone(&kdc.refuses), Arc::clone(&kdc.silent));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let length = stream.read_u32().await.unwrap();
                let mut bytes = vec![0; length as usize];
                stream.read_exact(&mut bytes).await.unwrap();
                if silent.load(Ordering::Relaxed) {
                    continue;
                }
                let asked = asked(&bytes);
                let now = clock.now().as_second();
                let answer = match refuses.load(Ordering::Relaxed) {
                    0 => {
                        let told = Told {
                            nonce: asked.nonce,
                            server: &asked.server,
                            start: now,
                            end: now + LIFE,
                            renew_till: asked.renewable.then_some(now + 10 * LIFE),
                        };
                        match asked.first {
                            true => reply(11, &client, usage::AS_REP, &told),
                            false => reply(13, &session(), usage::TGS_REP, &told),
                        }
                    }
                    code => refusal(code, now - 400),
                };
                all.lock().unwrap().push(asked);
                let length = u32::try_from(answer.len()).unwrap();
                stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await.unwrap();
            }
        });
        kdc
    }

    fn conf(&self, folder: &Path) -> Krb5Conf {
        let file = folder.join("krb5.conf");
        std::fs::write(&file, format!("[realms]\nR = {{\n kdc = 127.0.0.1:{}\n}}\n", self.port)).unwrap();
        Krb5Conf::load(&file).unwrap()
    }

    /// How often it was asked since the last time: first tickets, renewals, services.
    fn counts(&self) -> (usize, usize, usize) {
        let all = std::mem::take(&mut *self.asked.lock().unwrap());
        let first = all.iter().filter(|asked| asked.first).count();
        let renewals = all.iter().filter(|asked| asked.renewal).count();
        (first, renewals, all.len() - first - renewals)
    }
}

struct Scene {
    clock: Arc<Hand>,
    kdc: Kdc,
    folder: tempfile::TempDir,
    alice: Principal,
}

impl Scene {
    async fn start() -> Self {
        let clock = Arc::new(Hand::default());
        clock.set(1_000);
        let kdc = Kdc::start(Arc::clone(&clock), Key::new(18, &[1; 32]).unwrap()).await;
        let alice = Principal::parse("alice@R", None).unwrap();
        Self { clock, kdc, folder: tempfile::tempdir().unwrap(), alice }
    }

    fn tickets(&self, source: Source) -> Tickets {
        let conf = self.kdc.conf(self.folder.path());
        let patience = Duration::from_secs(2);
        Tickets::new(self.alice.clone(), source, conf, patience, Arc::<Hand>::clone(&self.clock))
    }

    fn by_keytab(&self) -> Tickets {
        self.tickets(Source::Keytab(keytab(self.folder.path(), &[entry(&self.alice, 1, 18, &[1; 32])])))
    }

    /// A cache whose ticket was got at 100 and ends at `end`.
    fn by_cache(&self, end: u32, flags: u32) -> Tickets {
        let file = self.folder.path().join("cache");
        let bytes = [vec![5, 4, 0, 0], named(&self.alice), ticket(&self.alice, "krbtgt/R@R", 17, end, flags)].concat();
        std::fs::write(&file, bytes).unwrap();
        self.tickets(Source::Cache(file))
    }
}

#[tokio::test]
async fn tickets_are_kept_renewed_early_and_used_to_their_end() {
    let scene = Scene::start().await;
    let tickets = scene.by_keytab();
    let rm = tickets.web_service("RM");
    assert_eq!(rm.to_string(), "HTTP/rm@R");
    assert!(!tickets.is_due());
    let (one, two) = tokio::join!(tickets.service(&rm), tickets.service(&rm));
    assert_eq!((one.unwrap().end, two.unwrap().end), (1_100, 1_100));
    assert_eq!(scene.kdc.counts(), (1, 0, 1), "two that wait ask once");
    scene.clock.set(1_074);
    assert!(!tickets.is_due());
    assert_eq!(tickets.until_renewal(), Duration::from_secs(1));
    tickets.service(&rm).await.unwrap();
    assert_eq!(scene.kdc.counts(), (0, 0, 0));
    scene.clock.set(1_075);
    assert!(tickets.is_due());
    assert_eq!(tickets.renew().await.unwrap().as_second(), 1_175);
    assert_eq!(scene.kdc.counts(), (1, 0, 0));
    assert_eq!(tickets.service(&rm).await.unwrap().end, 1_175);
    assert_eq!(scene.kdc.counts(), (0, 0, 1));
    // The KDC says no more: what is good is used, and it is not asked all the time.
    scene.kdc.silent.store(true, Ordering::Relaxed);
    scene.clock.set(1_160);
    assert_eq!(tickets.service(&rm).await.unwrap().end, 1_175);
    scene.clock.set(1_172);
    assert_eq!(tickets.service(&rm).await.unwrap().end, 1_175);
    scene.clock.set(1_173);
    tokio::time::sleep(SAME_ANSWER).await;
    let error = tickets.service(&rm).await.unwrap_err();
    let expected =
        format!("no KDC of the realm R answers (127.0.0.1:{}); check krb5.conf and the network", scene.kdc.port);
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unreachable, expected.as_str()));
    assert!(error.is_retryable());
    scene.kdc.silent.store(false, Ordering::Relaxed);
    tokio::time::sleep(SAME_ANSWER).await;
    assert_eq!(tickets.service(&rm).await.unwrap().end, 1_273);
}

#[tokio::test]
async fn a_cached_ticket_is_renewed_while_that_can_be_done() {
    let scene = Scene::start().await;
    let tickets = scene.by_cache(1_050, 0x0080_0000);
    // Old, and renewed at once.
    assert_eq!(tickets.renew().await.unwrap().as_second(), 1_100);
    assert_eq!(scene.kdc.counts(), (0, 1, 0));
    // And again, though the file has the ended one still.
    scene.clock.set(1_080);
    assert_eq!(tickets.renew().await.unwrap().as_second(), 1_180);
    assert_eq!(scene.kdc.counts(), (0, 1, 0));
    scene.clock.set(1_000);
    let tickets = scene.by_cache(1_200, 0);
    assert_eq!(tickets.renew().await.unwrap().as_second(), 1_200);
    assert_eq!(scene.kdc.counts(), (0, 0, 0));
    // Somebody else fills the cache.
    let again = scene.by_cache(2_000, 0);
    assert_eq!(again.renew().await.unwrap().as_second(), 2_000);
    scene.clock.set(1_199);
    assert_eq!(tickets.renew().await.unwrap().as_second(), 2_000);
    scene.clock.set(2_000);
    assert_eq!(
        again.renew().await.unwrap_err().message(),
        "the Kerberos ticket of alice@R ended at 1970-01-01T00:33:20Z, and an ended ticket cannot be renewed; run kinit \
         again, or give a keytab"
    );
}

#[tokio::test]
async fn each_refusal_has_its_remedy() {
    let scene = Scene::start().await;
    let tickets = scene.by_keytab();
    for (code, message) in [
        (6, "the KDC of R knows no alice@R; check kerberos.principal"),
        (14, "the KDC of R has no key of alice@R of the types aes256-cts-hmac-sha1-96 and aes128-cts-hmac-sha1-96"),
        (18, "the account alice@R is locked or has expired at the KDC of R"),
        (23, "the password of alice@R has expired at the KDC of R; change it, and export the keytab again"),
        (24, "the KDC of R does not accept the key of alice@R; export the keytab again"),
        (
            37,
            "this machine's clock is 400 s ahead of that of the KDC of R, and Kerberos allows 300; set both by a time server",
        ),
        (60, "the KDC of R refuses alice@R (Kerberos error 60: WORDS)"),
    ] {
        scene.kdc.refuses.store(code, Ordering::Relaxed);
        let error = tickets.renew().await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unauthenticated, message));
    }
    scene.kdc.refuses.store(0, Ordering::Relaxed);
    tickets.renew().await.unwrap();
    for (code, message) in [
        (
            7,
            "the KDC of R knows no service HTTP/10.0.0.1@R; write the address with the host name that the daemon is \
             registered with, not an IP address or an alias",
        ),
        (32, "the Kerberos ticket of alice@R has ended; run kinit again, or give a keytab"),
    ] {
        scene.kdc.refuses.store(code, Ordering::Relaxed);
        let error = tickets.service(&tickets.web_service("10.0.0.1")).await.unwrap_err();
        assert_eq!(error.message(), message);
        tokio::time::sleep(SAME_ANSWER).await;
    }
}

#[test]
fn no_two_moments_are_the_same() {
    let clock = Arc::new(Hand::default());
    clock.set(5);
    let conf = Krb5Conf::default();
    let source = Source::Cache(PathBuf::from("/nowhere"));
    let alice = Principal::parse("alice@R", None).unwrap();
    let tickets = Tickets::new(alice, source, conf, Duration::from_secs(1), clock);
    let moments: Vec<Moment> = (0..3).map(|_| tickets.moment()).collect();
    assert_eq!(moments.iter().map(|at| (at.seconds, at.micros)).collect::<Vec<_>>(), [(5, 0), (5, 1), (5, 2)]);
}
