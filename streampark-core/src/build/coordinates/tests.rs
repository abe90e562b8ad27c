use super::*;

#[test]
fn coordinates_are_words_and_nothing_else() {
    let coordinates = Coordinates::parse("org.apache.flink:flink-connector-kafka:3.4.0-1.20").unwrap();
    assert_eq!(coordinates.version, "3.4.0-1.20");
    assert_eq!(Coordinates::parse("g:a:1:shaded").unwrap().classifier.as_deref(), Some("shaded"));
    let refusal = |text: &str| Coordinates::parse(text).unwrap_err().to_string();
    assert_eq!(
        refusal("kafka"),
        "build.options: 'kafka' are no Maven coordinates: write group:artifact:version, or group:artifact:version:classifier"
    );
    for text in ["g:a:1</version>", "g:a:$(id)", "g:-x:1", "g:a:", "g:a:1:`id`", "g:a b:1", "../x:a:1"] {
        assert!(refusal(text).contains("is refused: use letters, digits"), "{text}");
    }
    let pom = |exclude: &[&str]| {
        let exclude: Vec<String> = exclude.iter().map(|text| (*text).to_owned()).collect();
        pom(&coordinates, &exclude).map_err(|error| error.message().to_owned())
    };
    assert!(
        pom(&["com.x:*"])
            .unwrap()
            .contains("<exclusion><groupId>com.x</groupId><artifactId>*</artifactId></exclusion>")
    );
    assert_eq!(pom(&["com.x"]).unwrap_err(), "'com.x' cannot be excluded: write group:artifact, or group:*");
    assert!(pom(&["a<b:c"]).is_err());
    assert_eq!(
        pom(&["org.apache.flink:flink-connector-kafka"]).unwrap_err(),
        "'org.apache.flink:flink-connector-kafka' is wanted and excluded at once"
    );
}

#[test]
fn a_list_of_maven_becomes_a_lock_that_notices_changes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["a-1.jar", "b-2.jar"] {
        std::fs::write(at(name), name).unwrap();
    }
    let list = format!(
        "\nThe following files have been resolved:\n   x:b:jar:2:runtime:{} -- module x.b\n   x:a:jar:all:1:compile:{}\n   x:p:pom:1:compile:/x\n",
        at("b-2.jar").display(),
        at("a-1.jar").display()
    );
    let lock = MavenLock::of_list("x:a:1:all", &[], &list, &at("jars")).unwrap();
    let names: Vec<(&str, &str)> = lock.jars.iter().map(|jar| (jar.artifact.as_str(), jar.version.as_str())).collect();
    assert_eq!(names, [("x:a", "1"), ("x:b", "2")]);
    let place = at("lock.json");
    assert_eq!(MavenLock::read(&place).unwrap(), None);
    lock.write(&place).unwrap();
    assert_eq!(MavenLock::read(&place).unwrap().as_ref(), Some(&lock));
    std::fs::write(at("a-1.jar"), "other").unwrap();
    assert_eq!(MavenLock::read(&place).unwrap().as_ref(), Some(&lock), "the copy counts");
    std::fs::write(&lock.jars[0].path, "other").unwrap();
    assert_eq!(
        MavenLock::read(&place).unwrap_err().message(),
        "the jar a-1.jar is not the one of the lock file; refresh the lock, or remove the jar"
    );
    std::fs::remove_file(&lock.jars[0].path).unwrap();
    assert_eq!(MavenLock::read(&place).unwrap(), None, "what is gone is asked for again");

    let mut other = lock.clone();
    other.coordinates = "y:c:1".into();
    other.jars[1].version = "3".into();
    let conflicts = MavenLock::conflicts(&[lock.clone(), other]);
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].artifact, "x:b");
    assert_eq!(conflicts[0].versions, [("2".into(), "x:a:1:all".into()), ("3".into(), "y:c:1".into())]);
    assert!(MavenLock::conflicts(&[lock]).is_empty());
}
