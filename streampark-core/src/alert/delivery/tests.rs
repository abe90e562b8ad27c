//! Rules of time, in paused time.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::*;
use crate::TokioClock;
use crate::alert::{Alert, AlertId, AlertKind, ChannelLimits, DeliveryId, DeliveryState};

/// An outbox in memory that counts what happens to each row.
#[derive(Debug, Default)]
struct Rows {
    rows: Mutex<Vec<Delivery>>,
    broken: AtomicBool,
}

impl Rows {
    fn put(&self, delivery: Delivery) {
        let mut rows = lock(&self.rows);
        if rows.iter().all(|row| row.id != delivery.id) {
            rows.push(delivery);
        }
    }

    fn change(&self, ids: &[DeliveryId], change: impl Fn(&mut Delivery)) -> Result<()> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Storage, "the disk is full"));
        }
        lock(&self.rows).iter_mut().filter(|row| ids.contains(&row.id)).for_each(change);
        Ok(())
    }

    fn count(&self, channel: &str, state: DeliveryState) -> usize {
        lock(&self.rows).iter().filter(|row| row.channel == channel && row.state == state).count()
    }
}

#[async_trait]
impl Outbox for Rows {
    async fn pending(&self, channel: &str, limit: usize) -> Result<Vec<Delivery>> {
        let rows = lock(&self.rows);
        let pending = rows.iter().filter(|row| row.channel == channel && row.state == DeliveryState::Pending);
        Ok(pending.take(limit).cloned().collect())
    }

    async fn pending_count(&self, channel: &str) -> Result<u64> {
        Ok(self.count(channel, DeliveryState::Pending) as u64)
    }

    async fn delivered(&self, ids: &[DeliveryId], at: Timestamp) -> Result<()> {
        self.change(ids, |row| (row.state, row.delivered_at) = (DeliveryState::Delivered, Some(at)))
    }

    async fn retry(&self, ids: &[DeliveryId], error: &str, next_at: Timestamp) -> Result<()> {
        self.change(ids, |row| {
            row.attempts += 1;
            (row.last_error, row.next_at) = (Some(error.to_owned()), next_at);
        })
    }

    async fn dead(&self, ids: &[DeliveryId], error: &str, _at: Timestamp) -> Result<()> {
        self.change(ids, |row| (row.state, row.last_error) = (DeliveryState::Dead, Some(error.to_owned())))
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<Delivery>> {
        let rows = lock(&self.rows);
        Ok(rows.iter().filter(|row| row.state == DeliveryState::Dead).take(limit).cloned().collect())
    }
}

#[async_trait]
impl Raise for Rows {
    async fn raise(&self, delivery: Delivery) -> Result<()> {
        self.change(&[], |_| ())?;
        self.put(delivery);
        Ok(())
    }
}

type Answer = Box<dyn Fn(u32) -> Result<Receipt> + Send + Sync>;

/// A channel that notes every attempt and answers as told.
struct Fake {
    limits: ChannelLimits,
    delay: Duration,
    answer: Answer,
    said: Mutex<Vec<(Instant, Message)>>,
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

impl Fake {
    fn new(per_minute: Option<u32>, answer: impl Fn(u32) -> Result<Receipt> + Send + Sync + 'static) -> Arc<Self> {
        Self::slow(per_minute, Duration::ZERO, answer)
    }

    fn slow(
        per_minute: Option<u32>,
        delay: Duration,
        answer: impl Fn(u32) -> Result<Receipt> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let limits = ChannelLimits { per_minute, ..ChannelLimits::default() };
        Arc::new(Self { limits, delay, answer: Box::new(answer), said: Mutex::default() })
    }

    fn times(&self) -> Vec<Instant> {
        lock(&self.said).iter().map(|(at, _)| *at).collect()
    }

    fn messages(&self) -> Vec<Message> {
        lock(&self.said).iter().map(|(_, message)| message.clone()).collect()
    }
}

#[async_trait]
impl Channel for Fake {
    fn kind(&self) -> &str {
        "fake"
    }

    fn limits(&self) -> ChannelLimits {
        self.limits
    }

    async fn send(&self, message: &Message) -> Result<Receipt> {
        let number = {
            let mut said = lock(&self.said);
            said.push((Instant::now(), message.clone()));
            said.len() as u32
        };
        tokio::time::sleep(self.delay).await;
        (self.answer)(number)
    }
}

fn fine(_: u32) -> Result<Receipt> {
    Ok(Receipt::default())
}

fn down(_: u32) -> Result<Receipt> {
    Err(Error::new(ErrorKind::Remote, "HTTP 500"))
}

fn refused(_: u32) -> Result<Receipt> {
    Err(Error::new(ErrorKind::NotFound, "HTTP 404"))
}

struct Bench {
    rows: Arc<Rows>,
    clock: SharedClock,
    dispatcher: Dispatcher,
    next: AtomicU64,
}

impl Bench {
    fn new() -> Self {
        let rows = Arc::new(Rows::default());
        let clock: SharedClock = Arc::new(TokioClock::starting_at(Timestamp::from_second(1_700_000_000).unwrap()));
        let dispatcher = Dispatcher::new(rows.clone(), Some(rows.clone()), clock.clone(), DispatcherOptions::default());
        Self { rows, clock, dispatcher, next: AtomicU64::new(1) }
    }

    fn with(self, name: &str, channel: &Arc<Fake>) -> Self {
        self.dispatcher.add(name, channel.clone()).unwrap();
        self
    }

    fn alert(&self, channel: &str, kind: AlertKind, incident: &str) -> DeliveryId {
        let number = u128::from(self.next.fetch_add(1, Ordering::SeqCst));
        let title = format!("{} {incident}", kind.as_str());
        let mut alert = Alert::new(AlertId::from_u128(number), kind, incident, title, self.clock.now());
        alert.job_name = Some(incident.to_owned());
        let id = DeliveryId::from_u128(number);
        self.rows.put(Delivery::new(id, channel, alert));
        self.dispatcher.notify();
        id
    }
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn an_alert_leaves_at_once_with_its_own_identity() {
    let channel = Fake::new(None, fine);
    let bench = Bench::new().with("oncall", &channel);
    pass(Duration::from_secs(3)).await;
    let start = Instant::now();
    let id = bench.alert("oncall", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(1)).await;
    assert_eq!(channel.times(), [start]);
    assert_eq!(channel.messages()[0].id, id);
    assert_eq!(bench.rows.count("oncall", DeliveryState::Delivered), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_there_before_the_start_and_what_nobody_called_for_is_found() {
    let bench = Bench::new();
    bench.alert("oncall", AlertKind::JobFailed, "before");
    let channel = Fake::new(None, fine);
    bench.dispatcher.add("oncall", channel.clone()).unwrap();
    pass(Duration::from_millis(10)).await;
    assert_eq!(channel.times().len(), 1);
    let id = DeliveryId::from_u128(99);
    let alert = Alert::new(AlertId::from_u128(99), AlertKind::JobFailed, "i", "t", bench.clock.now());
    bench.rows.put(Delivery::new(id, "oncall", alert));
    pass(Duration::from_secs(16)).await;
    assert_eq!(channel.times().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn repeats_carry_the_same_identity_wait_longer_and_end() {
    let channel = Fake::new(None, down);
    let bench = Bench::new().with("oncall", &channel);
    let id = bench.alert("oncall", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(600)).await;
    let messages = channel.messages();
    assert_eq!(
        messages.iter().map(|m| (m.id, m.attempt)).collect::<Vec<_>>(),
        (1..=5).map(|n| (id, n)).collect::<Vec<_>>()
    );
    for (times, longest) in channel.times().windows(2).zip([2, 8, 32, 128]) {
        let waited = times[1] - times[0];
        assert!(waited <= Duration::from_millis(longest * 1_000 + 5), "{waited:?} of at most {longest} s");
    }
    assert_eq!(bench.rows.count("oncall", DeliveryState::Dead), 1);
    let row = lock(&bench.rows.rows)[0].clone();
    assert_eq!((row.attempts, row.last_error.as_deref()), (4, Some("HTTP 500")));
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_the_other_side_asks_for_is_kept_for_everything() {
    let channel = Fake::new(None, |number| match number {
        1 => Err(Error::new(ErrorKind::Remote, "HTTP 429").with_context("retry_after", 60)),
        _ => fine(number),
    });
    let bench = Bench::new().with("oncall", &channel);
    let start = Instant::now();
    bench.alert("oncall", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(5)).await;
    bench.alert("oncall", AlertKind::CrashLoop, "payments");
    pass(Duration::from_secs(54)).await;
    assert_eq!(channel.times(), [start], "silence is silence");
    pass(Duration::from_secs(10)).await;
    assert_eq!(channel.times().len(), 3);
    assert_eq!(bench.rows.count("oncall", DeliveryState::Delivered), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_address_is_not_tried_again_and_another_channel_is_told_once() {
    let (broken, log) = (Fake::new(None, refused), Fake::new(None, fine));
    let bench = Bench::new().with("chat", &broken).with("log", &log);
    bench.alert("chat", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(600)).await;
    assert_eq!(broken.times().len(), 1);
    let told = log.messages();
    assert_eq!(told.len(), 1);
    let alert = &told[0].alerts[0];
    assert_eq!(alert.kind, AlertKind::DeliveryFailed);
    assert_eq!(alert.title, "channel 'chat' (fake) could not deliver: job_failed orders");
    assert_eq!(alert.job_name.as_deref(), Some("orders"));
    assert_eq!(alert.cause.as_ref().map(|c| c.message.as_str()), Some("HTTP 404"));
    let status = bench.dispatcher.status();
    assert_eq!((status[0].name.as_str(), status[0].failing, status[0].dead), ("chat", true, 1));
    assert_eq!((status[1].failing, status[1].delivered), (false, 1));
}

#[tokio::test(start_paused = true)]
async fn two_broken_channels_do_not_tell_each_other_for_ever() {
    let (one, two) = (Fake::new(None, refused), Fake::new(None, refused));
    let bench = Bench::new().with("one", &one).with("two", &two);
    bench.alert("one", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(3_600)).await;
    assert_eq!((one.times().len(), two.times().len()), (1, 1));
    assert_eq!(bench.rows.count("two", DeliveryState::Dead), 1);
    let alone = Fake::new(None, refused);
    let bench = Bench::new().with("alone", &alone);
    bench.alert("alone", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(3_600)).await;
    assert_eq!(lock(&bench.rows.rows).len(), 1, "never on itself");
}

#[tokio::test(start_paused = true)]
async fn a_dead_a_slow_and_a_panicking_channel_delay_no_other() {
    let slow = Fake::slow(None, Duration::from_secs(3_600), fine);
    let panicking = Fake::new(None, |_| panic!("a defect of an embedder's channel"));
    let good = Fake::new(None, fine);
    let bench = Bench::new().with("slow", &slow).with("panicking", &panicking).with("good", &good);
    let start = Instant::now();
    for n in 0..20 {
        for channel in ["slow", "panicking", "good"] {
            bench.alert(channel, AlertKind::JobFailed, &format!("{channel}{n}"));
        }
    }
    pass(Duration::from_millis(100)).await;
    let in_time = |said: &&(Instant, Message)| {
        said.0 - start < Duration::from_millis(90) && said.1.alerts[0].kind == AlertKind::JobFailed
    };
    assert_eq!(lock(&good.said).iter().filter(in_time).count(), 20);
    pass(Duration::from_secs(3_600)).await;
    assert!(slow.times().len() > 4, "each attempt has its time");
    assert_eq!(bench.rows.count("panicking", DeliveryState::Dead), 20);
}

#[tokio::test(start_paused = true)]
async fn eight_hundred_alerts_in_a_second_keep_the_limit_of_a_chat_robot() {
    let channel = Fake::slow(Some(20), Duration::from_millis(40), fine);
    let bench = Bench::new().with("dingtalk", &channel);
    let start = Instant::now();
    for second in 0..10 {
        for n in 0..80 {
            bench.alert("dingtalk", AlertKind::JobFailed, &format!("job-{}", second * 80 + n));
        }
        pass(Duration::from_millis(100)).await;
    }
    pass(Duration::from_secs(120)).await;
    let times = channel.times();
    assert!(times[0] - start < Duration::from_secs(1));
    let minute =
        |from: &Instant| times.iter().filter(|at| *at >= from && **at - *from < Duration::from_secs(60)).count();
    assert!(times.iter().map(minute).max().unwrap() <= 18);
    let mut count: HashMap<String, u32> = HashMap::new();
    for message in channel.messages() {
        for alert in message.alerts {
            *count.entry(alert.job_name.unwrap()).or_default() += 1;
        }
    }
    assert_eq!(count.len(), 800);
    assert!(count.values().all(|times| *times == 1), "none told twice");
    assert!(times.len() <= 12, "{} messages", times.len());
    let last = *times.last().unwrap() - start;
    assert!(last < Duration::from_secs(45), "the last was told after {last:?}");
}

#[tokio::test(start_paused = true)]
async fn while_a_channel_has_trouble_what_comes_is_merged() {
    let channel = Fake::new(None, |number| if number <= 4 { down(number) } else { fine(number) });
    let bench = Bench::new().with("oncall", &channel);
    for n in 0..50 {
        bench.alert("oncall", AlertKind::JobFailed, &format!("job-{n}"));
    }
    pass(Duration::from_secs(600)).await;
    assert_eq!(bench.rows.count("oncall", DeliveryState::Delivered), 50);
    let messages = channel.messages();
    assert!(messages.len() < 12, "{} attempts", messages.len());
    let ids: BTreeSet<DeliveryId> = messages.iter().map(|m| m.id).collect();
    for id in ids {
        let same: Vec<_> = messages.iter().filter(|m| m.id == id).map(|m| &m.alerts).collect();
        assert!(same.iter().all(|alerts| *alerts == same[0]), "one identity, one content");
    }
}

#[tokio::test(start_paused = true)]
async fn good_news_waits_for_the_bad_news_of_its_incident() {
    let channel = Fake::new(None, |number| if number == 1 { down(number) } else { fine(number) });
    let bench = Bench::new().with("oncall", &channel);
    bench.alert("oncall", AlertKind::JobFailed, "orders");
    bench.alert("oncall", AlertKind::JobRecovered, "orders");
    bench.alert("oncall", AlertKind::JobFailed, "payments");
    pass(Duration::from_secs(60)).await;
    let said: Vec<String> = channel
        .messages()
        .iter()
        .skip(1)
        .flat_map(|m| m.alerts.iter().map(|a| a.title.clone()).collect::<Vec<_>>())
        .collect();
    let place = |title: &str| said.iter().position(|said| said == title).unwrap();
    assert!(place("job_failed orders") < place("job_recovered orders"), "{said:?}");
    assert_eq!(said.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_makes_nothing_be_said_twice() {
    let channel = Fake::new(None, fine);
    let bench = Bench::new().with("oncall", &channel);
    bench.rows.broken.store(true, Ordering::SeqCst);
    bench.alert("oncall", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(120)).await;
    assert_eq!(channel.times().len(), 1);
    bench.rows.broken.store(false, Ordering::SeqCst);
    pass(Duration::from_secs(60)).await;
    assert_eq!(bench.rows.count("oncall", DeliveryState::Delivered), 1);
    assert_eq!(channel.times().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_told_even_if_the_store_is_away_for_a_moment() {
    let (broken, log) = (Fake::new(None, refused), Fake::new(None, fine));
    let bench = Bench::new().with("chat", &broken).with("log", &log);
    bench.rows.broken.store(true, Ordering::SeqCst);
    bench.alert("chat", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(3)).await;
    bench.rows.broken.store(false, Ordering::SeqCst);
    pass(Duration::from_secs(60)).await;
    assert_eq!((broken.times().len(), log.times().len()), (1, 1));
    assert_eq!(bench.rows.count("chat", DeliveryState::Dead), 1);
}

#[tokio::test(start_paused = true)]
async fn attempts_and_waits_go_on_after_a_restart() {
    let bench = Bench::new();
    let id = bench.alert("oncall", AlertKind::JobFailed, "orders");
    let due = bench.clock.now() + jiff::SignedDuration::from_secs(30);
    bench.rows.change(&[id], |row| (row.attempts, row.next_at) = (4, due)).unwrap();
    let channel = Fake::new(None, down);
    bench.dispatcher.add("oncall", channel.clone()).unwrap();
    let start = Instant::now();
    pass(Duration::from_secs(600)).await;
    assert_eq!(channel.messages().iter().map(|m| (m.id, m.attempt)).collect::<Vec<_>>(), [(id, 5)]);
    assert!(channel.times()[0] - start >= Duration::from_secs(30));
    assert_eq!(bench.rows.count("oncall", DeliveryState::Dead), 1, "the fifth was the last");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_finishes_what_is_under_way_and_begins_nothing() {
    let channel = Fake::slow(None, Duration::from_secs(2), fine);
    let bench = Bench::new().with("oncall", &channel);
    bench.alert("oncall", AlertKind::JobFailed, "first");
    bench.alert("oncall", AlertKind::JobFailed, "second");
    pass(Duration::from_secs(1)).await;
    bench.dispatcher.shutdown(Duration::from_secs(5)).await;
    assert_eq!(channel.times().len(), 1);
    assert_eq!(bench.rows.count("oncall", DeliveryState::Delivered), 1);
    assert_eq!(bench.rows.count("oncall", DeliveryState::Pending), 1);
    let error = bench.dispatcher.add("late", channel.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_beyond_its_grace() {
    let channel = Fake::slow(None, Duration::from_secs(9), fine);
    let bench = Bench::new().with("oncall", &channel);
    bench.alert("oncall", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(1)).await;
    let start = Instant::now();
    bench.dispatcher.shutdown(Duration::from_secs(3)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    pass(Duration::from_secs(60)).await;
    assert_eq!(bench.rows.count("oncall", DeliveryState::Pending), 1, "said again after the next start");
}

#[tokio::test(start_paused = true)]
async fn channels_come_and_go() {
    let channel = Fake::new(None, fine);
    let bench = Bench::new().with("oncall", &channel);
    let error = bench.dispatcher.add("oncall", channel.clone()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "alerts.add: a channel named 'oncall' exists already; remove it first or choose another name"
    );
    bench.dispatcher.remove("oncall", Duration::from_secs(1)).await.unwrap();
    bench.alert("oncall", AlertKind::JobFailed, "orders");
    pass(Duration::from_secs(60)).await;
    assert_eq!(channel.times().len(), 0);
    let error = bench.dispatcher.remove("oncall", Duration::ZERO).await.unwrap_err();
    assert_eq!(error.to_string(), "alerts.channel: no channel is named 'oncall'; there is none");
    bench.dispatcher.add("oncall", channel.clone()).unwrap();
    pass(Duration::from_secs(1)).await;
    assert_eq!(channel.times().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_test_message_says_what_the_other_side_says_and_keeps_the_limit() {
    let (good, bad) = (Fake::new(Some(2), fine), Fake::new(None, refused));
    let bench = Bench::new().with("good", &good).with("bad", &bad);
    bench.dispatcher.test("good").await.unwrap();
    assert_eq!(good.messages()[0].alerts[0].kind, AlertKind::Test);
    let error = bench.dispatcher.test("good").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    let error = bench.dispatcher.test("bad").await.unwrap_err();
    assert_eq!(error.to_string(), "alerts.test: HTTP 404 (channel: bad)");
    let error = bench.dispatcher.test("gone").await.unwrap_err();
    assert_eq!(error.to_string(), "alerts.channel: no channel is named 'gone'; there are bad, good");
}
