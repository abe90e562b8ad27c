use super::*;

/// One line per question: YAML (with `\n` for line ends), then what Flink 1.20.5 and 2.3.0 loaded from it.
const LOADED: &[(&str, &[(&str, &str)])] = &[
    (
        "# comment\njobmanager:\n  rpc:\n    address: localhost # trailing\n    port: 6123\n",
        &[("jobmanager.rpc.address", "localhost"), ("jobmanager.rpc.port", "6123")],
    ),
    ("\"quoted.key\": \"a # b: c\"\n", &[("quoted.key", "a # b: c")]),
    ("single: 'it''s'\n", &[("single", "it's")]),
    ("n: 1.10\n", &[("n", "1.1")]),
    ("n: 010\n", &[("n", "10")]),
    ("n: 0x1F\n", &[("n", "31")]),
    ("n: 123456789012345678901\n", &[("n", "123456789012345678901")]),
    ("n: 1e3\n", &[("n", "1000.0")]),
    ("n: 1.5e10\n", &[("n", "1.5E10")]),
    ("n: 0.00001\n", &[("n", "1.0E-5")]),
    ("n: 1_000\n", &[("n", "1_000")]),
    ("n: 12:30:45\n", &[("n", "12:30:45")]),
    ("b: yes\n", &[("b", "yes")]),
    ("b: On\n", &[("b", "On")]),
    ("b: TRUE\n", &[("b", "true")]),
    ("e: \"\"\n", &[("e", "")]),
    ("d: 2024-01-02\n", &[("d", "2024-01-02")]),
    ("t: 10 s\n", &[("t", "10 s")]),
    ("m: |\n  line1\n  line2\n", &[("m", "line1\nline2\n")]),
    ("f: >-\n  a\n  b\n", &[("f", "a b")]),
    ("l: --a;1;'--b;x';2\n", &[("l", "--a;1;'--b;x';2")]),
    ("l: \"['a','b']\"\n", &[("l", "['a','b']")]),
    ("l:\n  - a\n  - b;c\n  - 42\n  - true\n", &[("l", "[a, b;c, 42, true]")]),
    ("l:\n  - {a: 1}\n  - [1,2]\n", &[("l", "[{a: 1}, [1, 2]]")]),
    ("u: \"\\u00e4\\U0001F600\"\n", &[("u", "ä😀")]),
    ("anchor: &x hello\nalias: *x\n", &[("anchor", "hello"), ("alias", "hello")]),
    ("a: 1\na.b: 2\n", &[("a", "1"), ("a.b", "2")]),
    ("a:\n  b: 1\na.b: 2\n", &[("a.b", "2")]),
    ("", &[]),
    ("# nothing\n", &[]),
    ("empty.map: {}\n", &[]),
];

#[test]
fn config_yaml_is_read_as_flink_reads_it() {
    for (text, expected) in LOADED {
        let config = FlinkConfig::from_config_yaml(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(config.iter().collect::<Vec<_>>(), *expected, "{text}");
    }
}

#[test]
fn config_yaml_that_flink_refuses_is_refused_with_its_place() {
    let message = |text: &str| FlinkConfig::from_config_yaml(text).unwrap_err().to_string();
    assert_eq!(message("a: 1\na: 2\n"), "the key 'a' is there twice; remove one (line: 2, column: 1)");
    assert_eq!(
        message("just text\n"),
        "config.yaml is no map of keys and values; write 'key: value' (line: 1, column: 1)"
    );
    for null in ["a: ~\n", "a: null\n", "a:\n"] {
        assert_eq!(
            message(null),
            "'a' has no value, and Flink refuses that; give one, or remove the key (line: 1, column: 1)",
            "{null}"
        );
    }
    assert_eq!(
        message("---\na: 1\n---\nb: 2\n"),
        "config.yaml holds two documents; remove the line '---' (line: 3, column: 1)"
    );
    assert_eq!(message("1: 2\n"), "the key 1 is no text for YAML; put it in quotes (line: 1, column: 1)");
    assert!(message("a:\n\tb: 1\n").starts_with("config.yaml is no YAML (line: 2"));
}

#[test]
fn a_file_that_grows_by_aliases_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    let error = FlinkConfig::from_config_yaml(&text).unwrap_err();
    assert_eq!(error.message(), "config.yaml is too large once its aliases are followed");
    assert!(FlinkConfig::from_config_yaml(&format!("a: {}", "[".repeat(5000))).is_err());
}

#[test]
fn flink_conf_yaml_is_read_as_flink_reads_it() {
    let text = "a.b: c\nk:v\n# c\nx: y # z\nargs: --x;a#b\nempty: \n  ind.key:   val  \nq: \"quoted\"\ntwo: a: b\n dup: 1\n\
                dup: 2\ntab:\tx\nurl: http://a:1/b\n";
    let expected = [
        ("a.b", "c"),
        ("x", "y"),
        ("args", "--x;a"),
        ("ind.key", "val"),
        ("q", "\"quoted\""),
        ("two", "a: b"),
        ("dup", "2"),
        ("url", "http://a:1/b"),
    ];
    assert_eq!(FlinkConfig::from_flink_conf_yaml(text), FlinkConfig::from_iter(expected));
}

#[test]
fn flink_conf_yaml_refuses_by_name_what_it_would_damage() {
    let message = |key: &str, value: &str| {
        FlinkConfig::from_iter([("fine", "1"), (key, value)]).to_flink_conf_yaml().unwrap_err().to_string()
    };
    assert_eq!(
        message("$internal.application.program-args", "--x;a#b"),
        "the value of '$internal.application.program-args' cannot be kept in flink-conf.yaml: everything from '#' on \
         would be taken as a comment; change it, or use Flink 1.19 or later with config.yaml"
    );
    assert!(message("a", "x\ny").contains("it has a line end"));
    assert!(message("a", " x").contains("blanks at its start or end"));
    assert!(message("a", "").contains("it is empty"));
    assert_eq!(message("a: b", "x"), "'a: b' cannot be a key in flink-conf.yaml");
    let secret = message("s3.secret-key", "canary#1");
    assert!(!secret.contains("canary"), "{secret}");
}

#[test]
fn the_file_follows_the_version() {
    let config = FlinkConfig::from_iter([("a", "x # \"y\"")]);
    assert_eq!(
        config.to_file(&FlinkVersion::new(1, 19)).unwrap(),
        ("config.yaml", "\"a\": \"x # \\\"y\\\"\"\n".to_owned())
    );
    assert!(config.to_file(&FlinkVersion::new(1, 18)).is_err());
    let plain = FlinkConfig::from_iter([("a", "x")]);
    assert_eq!(plain.to_file(&FlinkVersion::new(1, 18)).unwrap(), ("flink-conf.yaml", "a: x\n".to_owned()));
}

#[test]
fn lists_in_both_notations() {
    for (text, items) in [
        ("--a;1;'--b;x';2", vec!["--a", "1", "--b;x", "2"]),
        ("['a','b']", vec!["a", "b"]),
        ("[a, b;c, 42, true]", vec!["a", "b;c", "42", "true"]),
        ("[\"--a\", \"x;y\", \"\", \"#h\"]", vec!["--a", "x;y", "", "#h"]),
        ("a;;b", vec!["a", "", "b"]),
        (" a ; b ", vec!["a", "b"]),
        ("it's;\"q\"\"q\"", vec!["it's", "q\"q"]),
        ("", vec![]),
    ] {
        assert_eq!(decode_list(text).unwrap(), items, "{text}");
    }
    assert!(decode_list("'open").unwrap_err().message().contains("a quote is not closed"));
    assert!(decode_list("'a'b").unwrap_err().message().contains("between a closing quote and ';'"));
    let mut config = FlinkConfig::new();
    config.set_list("pipeline.jars", &["file:///a b.jar", "x;y"], &FlinkVersion::new(1, 18));
    assert_eq!(config.get("pipeline.jars"), Some("file:///a b.jar;'x;y'"));
    config.set_list("pipeline.jars", &["x;y"], &FlinkVersion::new(2, 3));
    assert_eq!(config.get("pipeline.jars"), Some("[\"x;y\"]"));
    assert_eq!(config.get_list("pipeline.jars").unwrap().unwrap(), ["x;y"]);
}

#[test]
fn secrets_are_not_shown() {
    let config = FlinkConfig::from_iter([("s3.secret-key", "canary"), ("a", "1")]);
    let shown = format!("{config:?}{config}");
    assert!(!shown.contains("canary") && shown.contains("a: 1"), "{shown}");
}

#[test]
fn serde_takes_scalars_and_keeps_their_text() {
    let json = r#"{"parallelism.default": 4, "a": {"b": true, "c": 1.5}, "l": ["x;y", 2], "t": "10 s"}"#;
    let expected =
        [("parallelism.default", "4"), ("a.b", "true"), ("a.c", "1.5"), ("l", "[\"x;y\", \"2\"]"), ("t", "10 s")];
    assert_eq!(serde_json::from_str::<FlinkConfig>(json).unwrap().iter().collect::<Vec<_>>(), expected);
    let config: FlinkConfig = serde_saphyr::from_str("kubernetes.container.image.tag: 1.10\nb: yes\nn: 007\n").unwrap();
    assert_eq!(
        config.iter().collect::<Vec<_>>(),
        [("kubernetes.container.image.tag", "1.10"), ("b", "yes"), ("n", "007")]
    );
    assert!(serde_saphyr::from_str::<FlinkConfig>("a:\n").is_err());
    assert!(
        serde_json::from_str::<FlinkConfig>(r#"{"a": null}"#).unwrap_err().to_string().contains("'a' has no value")
    );
    assert!(
        serde_json::from_str::<FlinkConfig>(r#"{"a": {"b": 1}, "a.b": 2}"#).unwrap_err().to_string().contains("twice")
    );
    assert_eq!(
        serde_json::to_string(&FlinkConfig::from_iter([("b", "1"), ("a", "2")])).unwrap(),
        r#"{"b":"1","a":"2"}"#
    );
}

#[test]
fn local_addresses_go() {
    let mut config = FlinkConfig::from_iter([
        ("jobmanager.bind-host", "localhost"),
        ("taskmanager.bind-host", "0.0.0.0"),
        ("taskmanager.host", "localhost"),
        ("rest.bind-address", "127.0.0.1"),
    ]);
    config.remove_local_addresses();
    assert_eq!(config.iter().collect::<Vec<_>>(), [("taskmanager.bind-host", "0.0.0.0")]);
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn config_yaml_keeps_every_value(entries in proptest::collection::hash_map("[a-z.$-]{1,12}", any::<String>(), 0..6)) {
            let config: FlinkConfig = entries.into_iter().collect();
            prop_assert_eq!(FlinkConfig::from_config_yaml(&config.to_config_yaml()).unwrap(), config);
        }

        #[test]
        fn flink_conf_yaml_keeps_what_it_takes(value in any::<String>()) {
            let config = FlinkConfig::from_iter([("key", value)]);
            if let Ok(text) = config.to_flink_conf_yaml() {
                prop_assert_eq!(FlinkConfig::from_flink_conf_yaml(&text), config);
            }
        }

        #[test]
        fn lists_keep_every_item(items in proptest::collection::vec(any::<String>(), 1..6)) {
            prop_assert_eq!(&decode_list(&encode_list_json(&items)).unwrap(), &items);
            let legacy = encode_list_legacy(&items);
            if !legacy.trim_start().starts_with('[') {
                prop_assert_eq!(&decode_list(&legacy).unwrap(), &items);
            }
        }

        #[test]
        fn any_text_is_read_without_panic(text in "(.|\n){0,200}") {
            let _ = FlinkConfig::from_config_yaml(&text);
            let _ = decode_list(&text);
        }
    }
}
