use super::*;

fn files(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    names
        .iter()
        .map(|name| {
            let path = folder.join(name);
            std::fs::write(&path, name).unwrap();
            path
        })
        .collect()
}

fn archive(folder: &Path, file: &str, names: &[&str]) -> PathBuf {
    let path = folder.join(file);
    let out = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(out);
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, &b"x"[..]).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    path
}

fn choose(names: &[&str], wanted: Option<&str>) -> Result<Choice, String> {
    let folder = tempfile::tempdir().unwrap();
    pick("jobs/a", &files(folder.path(), names), wanted).map_err(|error| error.message().to_owned())
}

#[test]
fn shaded_wins_over_plain_and_what_never_runs_is_passed_over() {
    let choice = choose(&["a-1.jar"], None).unwrap();
    assert_eq!((choice.jar.0.as_str(), choice.rule.as_str()), ("a-1.jar", "the only jar that can run"));

    let choice =
        choose(&["a-1.jar", "a-1-sources.jar", "a-1-javadoc.jar", "a-1-tests.jar", "original-a-1.jar"], None).unwrap();
    assert_eq!((choice.jar.0.as_str(), choice.rule.as_str()), ("a-1.jar", "the only jar that can run"));
    assert_eq!(choice.passed.len(), 4);
    assert!(choice.passed.contains(&("a-1-sources.jar".into(), "sources".into())));

    let choice = choose(&["a-1.jar", "a-1-shaded.jar"], None).unwrap();
    assert_eq!((choice.jar.0.as_str(), choice.rule.as_str()), ("a-1-shaded.jar", "the only shaded jar"));
    assert_eq!(choice.passed, [("a-1.jar".to_owned(), "not shaded".to_owned())]);

    let choice = choose(&["a-1.jar", "b-1.jar", "original-a-1.jar"], None).unwrap();
    assert_eq!(choice.jar.0, "a-1.jar");
}

#[test]
fn what_cannot_be_decided_is_an_error_that_says_how() {
    assert_eq!(
        choose(&["a-1.jar", "b-1.jar"], None).unwrap_err(),
        "module 'jobs/a' has more than one jar that could run: a-1.jar, b-1.jar; name one with the module's option 'jar'"
    );
    assert_eq!(
        choose(&["a-1-sources.jar"], None).unwrap_err(),
        "no jar of module 'jobs/a' can run; there are a-1-sources.jar"
    );
    assert_eq!(choose(&["a-1.jar", "b-1.jar"], Some("b-*.jar")).unwrap().jar.0, "b-1.jar");
    assert_eq!(
        choose(&["a-1.jar", "b-1.jar"], Some("*.jar")).unwrap_err(),
        "*.jar fits more than one file of module 'jobs/a': a-1.jar, b-1.jar"
    );
    assert_eq!(
        choose(&["a-1.jar"], Some("c.jar")).unwrap_err(),
        "no file of module 'jobs/a' is named c.jar; there are a-1.jar"
    );
}

#[test]
fn a_distribution_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let names =
        ["orders-1.0/bin/run.sh", "orders-1.0/conf/a.yaml", "orders-1.0/lib/orders.jar", "orders-1.0/lib/dep.jar"];
    let tar = archive(folder.path(), "orders-1.0-bin.tar.gz", &names);
    let plain = files(folder.path(), &["orders-1.0.jar"]);
    let choice = pick("", &[tar, plain[0].clone()], None).unwrap();
    assert_eq!(choice.jar.0, "lib/orders.jar");
    assert_eq!(choice.rule, "the jar in lib of orders-1.0-bin.tar.gz that bears its name");
    let rest: Vec<&str> = choice.rest.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(rest, ["bin/run.sh", "conf/a.yaml", "lib/dep.jar"]);
    assert!(choice.rest.iter().all(|(_, at)| at.is_file()));

    let tar = archive(folder.path(), "x.tar.gz", &["lib/a.jar", "lib/b.jar"]);
    assert_eq!(
        pick("", &[tar], None).unwrap_err().message(),
        "the archive 'x.tar.gz' of the project has more than one jar and none bears its name: lib/a.jar, lib/b.jar"
    );
    let tar = archive(folder.path(), "docs.tar.gz", &["docs/index.html"]);
    let choice = pick("", &[tar, plain[0].clone()], None).unwrap();
    assert_eq!(choice.jar.0, "orders-1.0.jar");
    assert_eq!(choice.passed, [("docs.tar.gz".to_owned(), "an archive without a folder lib".to_owned())]);
}

#[test]
fn two_modules_cannot_have_one_jar() {
    let one = PathBuf::from("/x/target/job.jar");
    let error = distinct(&[("a".into(), vec![one.clone()]), ("b".into(), vec![one])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "build: the modules 'a' and 'b' claim the same jar 'job.jar'; declare it for one of them (reason: outputs)"
    );
}
