use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;

fn config(entries: &[(&str, &str)]) -> FlinkConfig {
    entries.iter().copied().collect()
}

fn command_of(entries: &[(&str, &str)], version: (u32, u32), logging: &LogConfig) -> Result<String> {
    let mut config = config(entries);
    config.set_default("jobmanager.memory.process.size", "1600m");
    let version = FlinkVersion::new(version.0, version.1);
    let memory = JobManagerMemory::from_config(&config, &version)?;
    command(&config, &version, &memory, logging, "Main", false)
}

/// Input, total, heap and overhead of the JobManager, as Flink 1.16 to 2.3 compute them.
const VECTORS: [(&str, u64, u64, u64); 15] = [
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
    ("process.size=1600m jvm-overhead.fraction=0.3", 1677721600, 771751916, 503316500),
];

#[test]
fn memory_reaches_the_command_line() {
    for (input, total, heap, overhead) in VECTORS {
        let config: FlinkConfig = input
            .split(' ')
            .filter_map(|entry| entry.split_once('='))
            .map(|(key, value)| (format!("jobmanager.memory.{key}"), value))
            .collect();
        for version in [FlinkVersion::new(1, 16), FlinkVersion::new(1, 20), FlinkVersion::new(2, 3)] {
            let memory = JobManagerMemory::from_config(&config, &version).unwrap();
            let command = command(&config, &version, &memory, &LogConfig::None, "Main", false).unwrap();
            let off_heap = total - heap - overhead - (256 << 20);
            let ignore = if version.at_least(1, 18) { " -XX:+IgnoreUnrecognizedVMOptions" } else { "" };
            assert_eq!(
                command,
                format!(
                    "$JAVA_HOME/bin/java -Xmx{heap} -Xms{heap} -XX:MaxMetaspaceSize=268435456{ignore} Main \
                     -D jobmanager.memory.off-heap.size={off_heap}b -D jobmanager.memory.jvm-overhead.min={overhead}b \
                     -D jobmanager.memory.jvm-metaspace.size=268435456b -D jobmanager.memory.heap.size={heap}b \
                     -D jobmanager.memory.jvm-overhead.max={overhead}b 1> <LOG_DIR>/jobmanager.out 2> \
                     <LOG_DIR>/jobmanager.err"
                ),
                "{input} {version}"
            );
        }
    }
}

#[test]
fn placeholders_are_filled_in_the_order_of_javas_map() {
    // %class% is filled after %jvmopts%, and %java% before it.
    let opts = [("env.java.opts.all", "-Dc=%class% -Dj=%java%")];
    let command = command_of(&opts, (2, 0), &LogConfig::None).unwrap();
    assert!(command.contains(" -Dc=Main -Dj=%java% "), "{command}");
}

#[test]
fn options_that_would_not_arrive_are_refused() {
    let refused = |text: &str| check_shell("env.java.opts.all", text).unwrap_err().to_string();
    assert_eq!(
        refused("-Dx=\"a b\""),
        "env.java.opts.all holds, between double quotes, a blank or a character that is special to a shell: YARN's \
         launch script reads the options twice, the first time in double quotes; put what is special into single \
         quotes, without double quotes, backticks and backslashes"
    );
    for (text, what) in [
        ("-Dx=`id`", "holds a backtick"),
        ("-Dx=a\\ b", "holds a backslash"),
        ("-Dx=1\n-Dy=2", "holds a line end or another control character"),
        ("-Dx='$PWD'", "holds $ between single quotes, where it is expanded nevertheless"),
        ("-Dx=$(id)", "holds $ before something that is no name of a variable"),
        ("-Dx=$1", "holds $ before something that is no name of a variable"),
        ("-Dx=${", "holds $ before something that is no name of a variable"),
        ("-Dx=${HOME:-a}", "holds $ before something that is no name of a variable"),
        ("-Dx= \"\"", "holds nothing between two double quotes"),
        ("-Dx='a\"b'", "holds a double quote between single quotes"),
        ("-Dx='a  b'", "holds two blanks in a row between quotes, which Flink makes one"),
        ("-Dx=a;b", "holds ; outside of quotes, which ends or redirects the command"),
        ("-Dx={a,b}", "holds {, which makes several words of one"),
        ("-Dx=1 #2", "holds # in a word that is no option, which a shell reads its own way"),
        ("~$NONE", "holds ~ in a word that is no option, which a shell reads its own way"),
        ("-Dx='a", "has a ' that is not closed"),
    ] {
        assert!(refused(text).starts_with(&format!("env.java.opts.all {what}: ")), "{text}: {}", refused(text));
    }
    for text in [
        "-XX:HeapDumpPath=<LOG_DIR> -XX:+UseG1GC",
        "-Djava.security.auth.login.config=$PWD/jaas.conf -Da={{JAVA_HOME}} -Db=${HOME}",
        "-Dx='a b;c|d&e(f)#g*'",
        "-Dregex=^a.*$ -Dcolor=#fff -Dhome=~",
        "-Dx=\"ab\"",
        "",
    ] {
        check_shell("env.java.opts.all", text).unwrap();
    }
    let error = command_of(&[("env.java.opts", "a;b")], (2, 3), &LogConfig::None).unwrap_err();
    assert!(error.to_string().starts_with("env.java.opts.all holds ;"), "{error}");
}

/// A folder with a `bin/java` that prints its arguments, NUL after each.
fn printing_java() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let java = home.path().join("bin/java");
    std::fs::create_dir(home.path().join("bin")).unwrap();
    std::fs::write(&java, "#!/bin/bash\nprintf '%s\\0' \"$@\"\n").unwrap();
    std::fs::set_permissions(&java, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(home.path().join("cwd")).unwrap();
    home
}

fn words(script: &str, home: &Path) -> Vec<String> {
    let output = Command::new("/bin/bash")
        .args(["-c", script])
        .current_dir(home.join("cwd"))
        .env("JAVA_HOME", home)
        .env("NAME", "value")
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    let printed = match output.stdout.is_empty() {
        true => std::fs::read(home.join("jobmanager.out")).unwrap(),
        false => output.stdout,
    };
    String::from_utf8(printed).unwrap().split_terminator('\0').map(str::to_owned).collect()
}

/// What a NodeManager writes into `launch_container.sh`.
fn launch_line(command: &str, home: &Path) -> String {
    format!("exec /bin/bash -c \"{}\"", command.replace("<LOG_DIR>", &home.display().to_string()))
}

#[test]
fn flinks_own_command_survives_the_launch_script() {
    let home = printing_java();
    let logging = LogConfig::Standard;
    let command = command_of(&[("env.java.opts.all", "-Dx='a b' -Dy=$NAME")], (2, 3), &logging).unwrap();
    let seen = words(&launch_line(&command, home.path()), home.path());
    let log = format!("-Dlog.file={}/jobmanager.log", home.path().display());
    for word in ["-Dx=a b", "-Dy=value", log.as_str(), "Main", "jobmanager.memory.heap.size=1073741824b"] {
        assert!(seen.iter().any(|seen| seen == word), "{word} in {seen:?}");
    }
    assert_eq!(seen[0], "-Xmx1073741824");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is not refused arrives at the JVM as one shell would have read it.
    #[test]
    fn accepted_options_arrive_as_written(
        text in prop_oneof![
            "[-a-zD=' \"$NAME{};#*~.%!^]{0,24}",
            proptest::collection::vec("-D[a-z]{1,3}=([a-z./:*?%,+@]{0,6}|'[ a-z;&|<>()#*?!~{}]{0,8}'|\"[a-z/.$]{1,5}\")", 0..4)
                .prop_map(|words| words.join(" ")),
        ]
    ) {
        if check_shell("env.java.opts.all", &text).is_err() {
            return Ok(());
        }
        let home = printing_java();
        let once = words(&format!("printf '%s\\0' start {text} end"), home.path());
        let command = command_of(&[("env.java.opts.all", &text)], (1, 17), &LogConfig::None).unwrap();
        let seen = words(&launch_line(&command, home.path()), home.path());
        let inner: Vec<&String> = once[1..once.len() - 1].iter().collect();
        let found: Vec<&String> = seen.iter().skip(3).take_while(|word| *word != "Main").collect();
        prop_assert_eq!(found, inner, "{}", text);
    }
}
