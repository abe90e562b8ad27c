use super::*;

fn tar_of(folder: &Path, entries: &[(&str, tar::EntryType, &str)]) -> PathBuf {
    let path = folder.join("x.tar.gz");
    let out = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(out);
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_size(if kind.is_file() { content.len() as u64 } else { 0 });
        // The crate refuses to write names that lead out; a wicked archive does not ask it.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        if !kind.is_file() && !kind.is_dir() {
            header.as_gnu_mut().unwrap().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_cksum();
        tar.append(&header, if kind.is_file() { content.as_bytes() } else { &[] }).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    path
}

fn zip_of(folder: &Path, entries: &[(&str, u32, &[u8])]) -> PathBuf {
    let path = folder.join("x.zip");
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    for (name, mode, content) in entries {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    path
}

fn refusal(archive: &Path) -> String {
    let outside = archive.parent().unwrap();
    let target = outside.join("target");
    std::fs::create_dir_all(&target).unwrap();
    let message = unpack(archive, &target, UnpackLimits::default()).unwrap_err().to_string();
    assert!(!outside.join("out").exists() && !Path::new("/tmp/streampark-out").exists(), "{message}");
    message
}

#[test]
fn what_leads_out_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = tar::EntryType::Regular;
    for (name, why) in [
        ("../out", "leads out of the folder"),
        ("a/../../out", "leads out of the folder"),
        ("/tmp/streampark-out", "is an absolute path"),
        ("a\\..\\out", "has a character that no path has"),
    ] {
        let shown = name.escape_debug();
        let tar = tar_of(folder.path(), &[(name, file, "x")]);
        let expected = |archive: &str| {
            format!("build.unpack: the archive's entry '{shown}' is refused: it {why} (archive: {archive})")
        };
        assert_eq!(refusal(&tar), expected("x.tar.gz"));
        let zip = zip_of(folder.path(), &[(name, 0o644, b"x")]);
        assert_eq!(refusal(&zip), expected("x.zip"));
        let jar = zip.with_extension("jar");
        std::fs::rename(&zip, &jar).unwrap();
        assert_eq!(check_jar(&jar, UnpackLimits::default()).unwrap_err().to_string(), expected("x.jar"));
    }
}

#[test]
fn links_and_devices_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [tar::EntryType::Symlink, tar::EntryType::Link] {
        let tar = tar_of(folder.path(), &[("conf", kind, "/etc"), ("conf/out", tar::EntryType::Regular, "x")]);
        assert_eq!(
            refusal(&tar),
            "build.unpack: the archive holds the link 'conf' to '/etc'; files and folders only are unpacked (archive: x.tar.gz)"
        );
    }
    let tar = tar_of(folder.path(), &[("null", tar::EntryType::Char, "")]);
    assert_eq!(
        refusal(&tar),
        "build.unpack: the archive holds 'null', which is neither a file nor a folder (archive: x.tar.gz)"
    );
}

#[test]
fn bombs_are_refused_by_what_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let zeros = vec![0; 80 << 20];
    let zip = zip_of(folder.path(), &[("zeros", 0o644, &zeros)]);
    let message = "the archive holds more than 100 times its own size; that is how archives that fill a disk are made";
    assert_eq!(refusal(&zip), format!("build.unpack: {message} (archive: x.zip)"));
    let jar = zip.with_extension("jar");
    std::fs::rename(&zip, &jar).unwrap();
    assert_eq!(
        check_jar(&jar, UnpackLimits::default()).unwrap_err().to_string(),
        format!("build.unpack: {message} (archive: x.jar)")
    );
    let many = tar_of(folder.path(), &[("a", tar::EntryType::Regular, "x"), ("b", tar::EntryType::Regular, "yy")]);
    let target = folder.path().join("few");
    std::fs::create_dir(&target).unwrap();
    let limits = |entries, bytes| UnpackLimits { entries, bytes, ratio: 100 };
    assert_eq!(unpack(&many, &target, limits(1, 9)).unwrap_err().message(), "the archive has more than 1 entries");
    std::fs::remove_dir_all(&target).unwrap();
    std::fs::create_dir(&target).unwrap();
    assert_eq!(unpack(&many, &target, limits(9, 2)).unwrap_err().message(), "the archive holds more than 2 bytes");
}

#[test]
fn a_good_archive_comes_out_whole_and_a_second_entry_of_a_name_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("good");
    std::fs::create_dir(&target).unwrap();
    let good = tar_of(
        folder.path(),
        &[
            ("./a/", tar::EntryType::Directory, ""),
            ("./a/run.sh", tar::EntryType::Regular, "#!"),
            ("b", tar::EntryType::Regular, ""),
        ],
    );
    unpack(&good, &target, UnpackLimits::default()).unwrap();
    assert_eq!(std::fs::read_to_string(target.join("a/run.sh")).unwrap(), "#!");
    let twice = tar_of(folder.path(), &[("b", tar::EntryType::Regular, "1"), ("b", tar::EntryType::Regular, "2")]);
    assert!(refusal(&twice).contains("twice"));
    std::fs::write(folder.path().join("y.tar.gz"), "no archive").unwrap();
    assert_eq!(
        refusal(&folder.path().join("y.tar.gz")),
        "build.unpack: the archive is damaged; build it again (archive: y.tar.gz)"
    );
}
