use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn project() -> (tempfile::TempDir, LocalSource) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("src/.git")).unwrap();
    fs::write(folder.path().join("src/A.java"), "class A {}").unwrap();
    fs::write(folder.path().join("mvnw"), "#!/bin/sh").unwrap();
    fs::set_permissions(folder.path().join("mvnw"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("src", folder.path().join("link")).unwrap();
    let source = LocalSource::new(folder.path()).unwrap().ignore("target");
    (folder, source)
}

#[tokio::test]
async fn the_revision_is_what_the_folder_holds() {
    let (folder, source) = project();
    let first = source.check().await.unwrap().id;
    fs::create_dir(folder.path().join("target")).unwrap();
    fs::write(folder.path().join("target/A.class"), "x").unwrap();
    fs::write(folder.path().join("src/.git/index"), "x").unwrap();
    assert_eq!(source.sync(&SyncOptions::default()).await.unwrap().revision.id, first, "ignored files do not count");
    let checkout = source.checkout(&CheckoutOptions::at(&first)).await.unwrap();
    assert!(checkout.is_temporary() && !checkout.path().join("target").exists());
    assert_eq!(fs::read_to_string(checkout.path().join("link/A.java")).unwrap(), "class A {}");
    assert_eq!(fs::metadata(checkout.path().join("mvnw")).unwrap().permissions().mode() & 0o777, 0o755);
    let copied = LocalSource::new(checkout.path()).unwrap().check().await.unwrap().id;
    assert_eq!(copied, first, "a copy is the same revision");

    fs::write(folder.path().join("src/A.java"), "class B {}").unwrap();
    let second = source.check().await.unwrap().id;
    assert_ne!(second, first);
    assert_eq!(
        source.checkout(&CheckoutOptions::at(&first)).await.unwrap_err().message(),
        format!("the folder holds {second} now and not {first}; a folder has no history, so build what it holds")
    );
    fs::set_permissions(folder.path().join("mvnw"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_ne!(source.check().await.unwrap().id, second, "what may be run counts");
}

#[tokio::test]
async fn what_leads_out_or_is_too_much_is_refused() {
    assert_eq!(
        LocalSource::new("orders").unwrap_err().to_string(),
        "project.local: the folder 'orders' of a project is a relative path; write it whole"
    );
    let (folder, source) = project();
    let message = |error: Error| error.message().to_owned();
    assert_eq!(
        message(source.clone().limits(1, 1 << 20).check().await.unwrap_err()),
        "it holds more than 1 files; name folders to ignore"
    );
    assert_eq!(
        message(source.clone().limits(9, 9).check().await.unwrap_err()),
        "it holds more than 9 bytes; name folders to ignore"
    );
    for target in ["/etc/passwd", "../..", "nowhere"] {
        symlink(target, folder.path().join("out")).unwrap();
        assert_eq!(
            message(source.check().await.unwrap_err()),
            "'out' is a symbolic link that leads out of the folder, or nowhere; remove it, or ignore it"
        );
        fs::remove_file(folder.path().join("out")).unwrap();
    }
    let gone = LocalSource::new(folder.path().join("gone")).unwrap().check().await.unwrap_err();
    assert!(gone.to_string().starts_with("project.local: no such file or folder (path: , folder: "), "{gone}");
}
