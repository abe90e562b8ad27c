use super::*;

fn principal(text: &str) -> Principal {
    Principal::parse(text, None).unwrap()
}

/// `u16` or `u32` before the bytes.
fn counted(bytes: &[u8], width: usize) -> Vec<u8> {
    let count = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&count[4 - width..], bytes].concat()
}

fn entry(owner: &Principal, version: u8, kind: u16, key: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(owner.parts.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(counted(owner.realm.as_bytes(), 2));
    owner.parts.iter().for_each(|part| bytes.extend(counted(part.as_bytes(), 2)));
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, version]);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(counted(key, 2));
    [&i32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
}

fn keytab(folder: &Path, entries: &[Vec<u8>]) -> PathBuf {
    let file = folder.join("keytab");
    std::fs::write(&file, [&[5, 2][..], &entries.concat()].concat()).unwrap();
    file
}

#[test]
fn the_newest_keys_of_a_principal_the_best_first() {
    let folder = tempfile::tempdir().unwrap();
    let (alice, bob) = (principal("alice@R"), principal("bob/admin@R"));
    let file = keytab(
        folder.path(),
        &[
            entry(&alice, 1, 18, &[1; 32]),
            // A hole that an entry left.
            [&(-4_i32).to_be_bytes()[..], &[9; 4]].concat(),
            entry(&alice, 2, 17, &[2; 16]),
            entry(&alice, 2, 18, &[3; 32]),
            entry(&bob, 7, 23, &[4; 16]),
        ],
    );
    let keys = keys_of(&file, &alice).unwrap();
    assert_eq!(keys, [Key::new(18, &[3; 32]).unwrap(), Key::new(17, &[2; 16]).unwrap()]);
    assert_eq!(
        keys_of(&file, &bob).unwrap_err().message(),
        "the keytab has keys of bob/admin@R, but none of aes256-cts-hmac-sha1-96 or aes128-cts-hmac-sha1-96; export one \
         of these"
    );
    assert_eq!(
        keys_of(&file, &principal("carol@R")).unwrap_err().message(),
        "the keytab has no key of carol@R; it has alice@R, bob/admin@R"
    );
    std::fs::write(&file, "a text").unwrap();
    assert_eq!(keys_of(&file, &alice).unwrap_err().message(), "the file is no keytab of version 2");
    let error = keys_of(&folder.path().join("absent"), &alice).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::NotFound, "the keytab cannot be read; check its path and its rights")
    );
}

fn named(name: &Principal) -> Vec<u8> {
    let mut bytes = [0, 0, 0, 1].to_vec();
    bytes.extend(u32::try_from(name.parts.len()).unwrap().to_be_bytes());
    bytes.extend(counted(name.realm.as_bytes(), 4));
    name.parts.iter().for_each(|part| bytes.extend(counted(part.as_bytes(), 4)));
    bytes
}

fn ticket(owner: &Principal, server: &str, kind: u16, end: u32, flags: u32) -> Vec<u8> {
    let mut bytes = [named(owner), named(&principal(server))].concat();
    bytes.extend(kind.to_be_bytes());
    bytes.extend(counted(&vec![7; if kind == 18 { 32 } else { 16 }], 4));
    for time in [100, 0, end, end + 1000] {
        bytes.extend(u32::to_be_bytes(time));
    }
    bytes.push(0);
    bytes.extend(flags.to_be_bytes());
    // One address, no authorization data.
    bytes.extend([0, 0, 0, 1, 0, 2]);
    bytes.extend(counted(&[127, 0, 0, 1], 4));
    bytes.extend([0; 4]);
    bytes.extend(counted(format!("ticket until {end}").as_bytes(), 4));
    bytes.extend(counted(&[], 4));
    bytes
}

#[test]
fn the_ticket_that_lives_longest() {
    let alice = principal("alice@R");
    let mut bytes = vec![5, 4, 0, 4, 0, 1, 0, 0];
    bytes.extend(named(&alice));
    bytes.extend(ticket(&alice, "krbtgt/R@R", 18, 500, 0));
    bytes.extend(ticket(&alice, "krb5_ccache_conf_data/x@X-CACHECONF:", 18, 9_000, 0));
    bytes.extend(ticket(&alice, "krbtgt/R@R", 17, 700, 0x0080_0000));
    let cache = parse_cache(&bytes).unwrap();
    let best = cache.granting.unwrap();
    assert_eq!((cache.owner, &best.ticket[..]), (alice.clone(), &b"ticket until 700"[..]));
    assert_eq!((best.start, best.end, best.renew_till), (100, 700, Some(1700)));
    // Every cut of the file is noticed.
    let whole = bytes.len();
    let owners = 8 + named(&alice).len();
    let ends = [owners, owners + ticket(&alice, "krbtgt/R@R", 18, 500, 0).len()];
    let told = (0..whole).filter(|length| parse_cache(&bytes[..*length]).is_some()).collect::<Vec<_>>();
    assert!(ends.iter().all(|end| told.contains(end)) && told.len() <= 3, "{told:?}");
    let other = [vec![5, 3], named(&alice)].concat();
    assert!(parse_cache(&other).is_some_and(|cache| cache.granting.is_none() && cache.unusable.is_none()));
    let mut odd = [vec![5, 4, 0, 0], named(&alice)].concat();
    odd.extend(ticket(&alice, "krbtgt/R@R", 20, 500, 0));
    assert_eq!(parse_cache(&odd).unwrap().unusable, Some(20));
}

#[test]
fn where_caches_are() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("primary"), "tkt-x\n").unwrap();
    let place = folder.path().display().to_string();
    for (name, expected) in [
        ("/tmp/krb5cc_%{uid}".to_owned(), "/tmp/krb5cc_7".to_owned()),
        ("FILE:/a/b".to_owned(), "/a/b".to_owned()),
        (format!("DIR:{place}"), format!("{place}/tkt-x")),
        ("DIR::/a/tkt".to_owned(), "/a/tkt".to_owned()),
    ] {
        assert_eq!(cache_file(&name, "7").unwrap(), PathBuf::from(expected));
    }
    assert_eq!(
        cache_file("KCM:", "7").unwrap_err().message(),
        "the Kerberos credential cache 'KCM:' is of the kind KCM, which only the system's own library reads; run kinit -c \
         FILE:/path and give that file by kerberos.ccache, or give a keytab"
    );
}
