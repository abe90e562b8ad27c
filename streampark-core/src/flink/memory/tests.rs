use super::*;
use crate::flink::{FlinkConfig, FlinkVersion};

fn config(entries: &str) -> FlinkConfig {
    entries.split_whitespace().filter_map(|entry| entry.split_once('=')).collect()
}

/// Input, total, heap and overhead of the JobManager, as Flink 1.16 to 2.3 compute them.
#[test]
fn jobmanager_agrees_with_flink() {
    let vectors = [
        ("process.size=600m", 629145600, 25165824, 201326592),
        ("process.size=1024m", 1073741824, 469762048, 201326592),
        ("process.size=1600m", 1677721600, 1073741824, 201326592),
        ("process.size=2000m", 2097152000, 1484783613, 209715203),
        ("process.size=3333m", 3494903808, 2742760238, 349490386),
        ("process.size=4096m", 4294967296, 3462817376, 429496736),
        ("process.size=12g", 12884901888, 11408506880, 1073741824),
        ("flink.size=1280m", 1811939328, 1207959552, 201326592),
        ("flink.size=4g", 5070447510, 4160749568, 507044758),
        ("flink.size=16g", 18522046464, 17045651456, 1073741824),
        ("heap.size=1g", 1677721600, 1073741824, 201326592),
        ("heap.size=3000m", 3942645766, 3145728000, 394264582),
        ("heap.size=1g process.size=2g", 2147483648, 1073741824, 671088640),
        ("process.size=1600m off-heap.size=64m", 1677721600, 1140850688, 201326592),
        ("process.size=1600m jvm-overhead.fraction=0.3", 1677721600, 771751916, 503316500_u64),
    ];
    for (input, total, heap, overhead) in vectors {
        let entries: Vec<String> = input.split(' ').map(|entry| format!("jobmanager.memory.{entry}")).collect();
        let memory = JobManagerMemory::from_config(&config(&entries.join(" ")), &FlinkVersion::new(1, 16)).unwrap();
        let found = (memory.process.bytes(), memory.heap.bytes(), memory.overhead.bytes());
        assert_eq!(found, (total, heap, overhead), "{input}");
    }
}

/// What Flink 1.20.5 and 2.3.0 answered: `version tm|jm key=value... => total | JVM options | -D properties`,
/// or `!!` where they refused.
#[test]
fn every_recorded_answer_of_flink_is_met() {
    let mut met = 0;
    for line in include_str!("vectors.txt").lines() {
        let (question, answer) = line.split_once(" => ").unwrap_or((line.trim_end_matches(" !!"), "!!"));
        let mut words = question.splitn(3, ' ');
        let version: FlinkVersion = words.next().unwrap().parse().unwrap();
        let process = words.next().unwrap();
        let config = config(words.next().unwrap());
        let ours = match process {
            "tm" => TaskManagerMemory::from_config(&config, &version).map(|memory| {
                let properties: Vec<String> =
                    memory.dynamic_properties().iter().map(|(key, value)| format!("-D {key}={value}")).collect();
                format!("{} | {} | {}", memory.process.bytes(), memory.jvm_args().join(" "), properties.join(" "))
            }),
            _ => JobManagerMemory::from_config(&config, &version)
                .map(|memory| format!("{} | {}", memory.process.bytes(), memory.jvm_args().join(" "))),
        };
        match ours {
            Ok(ours) => assert_eq!(ours, answer, "{question}"),
            Err(error) => assert_eq!(answer, "!!", "{question}: {error}"),
        }
        met += 1;
    }
    assert_eq!(met, 52);
}

#[test]
fn taskmanager_total_for_the_capability_check() {
    for (entries, mebibytes) in [
        ("taskmanager.memory.process.size=1728m", 1728),
        ("taskmanager.memory.flink.size=1280m", 1728),
        ("taskmanager.memory.task.heap.size=512m taskmanager.memory.managed.size=512m", 1870),
    ] {
        let memory = TaskManagerMemory::from_config(&config(entries), &FlinkVersion::new(2, 0)).unwrap();
        assert_eq!(memory.process.mebibytes(), mebibytes, "{entries}");
    }
}

#[test]
fn jobmanager_properties_agree_with_its_options() {
    let memory =
        JobManagerMemory::from_config(&config("jobmanager.memory.process.size=1600m"), &FlinkVersion::new(2, 3))
            .unwrap();
    assert_eq!(memory.jvm_args(), ["-Xmx1073741824", "-Xms1073741824", "-XX:MaxMetaspaceSize=268435456"]);
    assert!(memory.dynamic_properties().contains(&("jobmanager.memory.jvm-overhead.min", "201326592b".to_owned())));
}

#[test]
fn external_resources_need_an_amount() {
    let with = |entries: &str| {
        TaskManagerMemory::from_config(&config(entries), &FlinkVersion::new(2, 3)).unwrap().dynamic_properties()
    };
    let base = "taskmanager.memory.process.size=2g external-resources=gpu;fpga";
    assert!(with(base).contains(&("external-resources".into(), "none".to_owned())));
    let found = with(&format!("{base} external-resource.gpu.amount=2"));
    assert!(found.contains(&("external-resources".into(), "gpu".to_owned())), "{found:?}");
    assert!(found.contains(&("external-resource.gpu.amount".into(), "2".to_owned())), "{found:?}");
}

#[test]
fn errors_name_the_keys() {
    let jm = |entries: &str| {
        JobManagerMemory::from_config(&config(entries), &FlinkVersion::new(2, 3)).unwrap_err().to_string()
    };
    assert_eq!(
        jm(""),
        "the memory of the JobManager is not configured; set jobmanager.memory.process.size, for example 1600m"
    );
    assert_eq!(
        jm("jobmanager.memory.process.size=1600x"),
        "jobmanager.memory.process.size: '1600x' is no size: unit 'x' is none of b, k (kb), m (mb), g (gb), t (tb)"
    );
    assert_eq!(
        jm("jobmanager.memory.process.size=400m"),
        "the keys jobmanager.memory.* contradict each other: process.size of 400 mb is too small for \
         jvm-metaspace.size (256 mb) and the JVM overhead (192 mb)"
    );
    assert!(jm("jobmanager.heap.size=1600m").contains("not configured"));
    assert!(
        jm("jobmanager.memory.process.size=2g jobmanager.memory.jvm-overhead.min=2g")
            .contains("jvm-overhead.min (2 gb) is larger than jvm-overhead.max (1 gb)")
    );
    let tm = TaskManagerMemory::from_config(
        &config("taskmanager.memory.process.size=2g taskmanager.memory.managed.fraction=1.5"),
        &FlinkVersion::new(2, 3),
    );
    assert_eq!(
        tm.unwrap_err().to_string(),
        "taskmanager.memory.managed.fraction is 1.5; it must be at least 0 and below 1"
    );
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_always_add_up(process in 1_u64..1 << 45, fraction in 0_u32..1000) {
            let fraction = f64::from(fraction) / 1000.0;
            let config: FlinkConfig = [
                ("taskmanager.memory.process.size", process.to_string()),
                ("taskmanager.memory.managed.fraction", fraction.to_string()),
            ].into_iter().collect();
            if let Ok(memory) = TaskManagerMemory::from_config(&config, &FlinkVersion::new(2, 3)) {
                prop_assert_eq!(memory.process.bytes(), process);
            }
        }
    }
}
