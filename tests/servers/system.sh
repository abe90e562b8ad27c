#!/usr/bin/env bash
# system.sh [hadoop|projects]: checks that what the demo and the tests need is on this machine, with "hadoop" also Maven,
# curl and MIT's Kerberos, with "projects" also Maven, Gradle, Git and an ssh server. As root on Debian or Ubuntu it
# installs what is missing; elsewhere it ends with one line that names what is missing and the command that installs it.
# Needed: a C compiler, Rust, Python 3.9 with venv, and a JDK 11 or 17 (the jar jobs are compiled here).
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

target="${1:-}"
case "$target" in "" | hadoop | projects) ;; *) die "usage: system.sh [hadoop|projects]" ;; esac
rust_wanted="$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$REPO_ROOT/Cargo.toml")"

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1)" = "$1" ]; }

# java_version: the major version of the java that would run, or nothing.
java_version() {
    { "${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 || true; } | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n1
}

# Each missing thing: a word for people, and the Debian packages that bring it.
missing=()
packages=()
look() {
    missing=()
    packages=()
    command -v cc >/dev/null || { missing+=("a C compiler"); packages+=(build-essential); }
    python_with_venv >/dev/null || { missing+=("Python 3.9 with venv"); packages+=(python3 python3-venv); }
    case "$(java_version)" in
        11 | 17) ;;
        "") missing+=("a JDK 11 or 17"); packages+=("$jdk_package") ;;
        *) missing+=("a JDK 11 or 17 (java is $(java_version): set JAVA_HOME to the right one)"); packages+=("$jdk_package") ;;
    esac
    if [ -n "$(java_version)" ] && ! "${JAVA_HOME:+$JAVA_HOME/bin/}javac" -version >/dev/null 2>&1; then
        missing+=("a Java compiler")
        packages+=("$jdk_package")
    fi
    if [ -n "$target" ] && ! command -v mvn >/dev/null; then
        missing+=(Maven)
        packages+=(maven)
    fi
    if [ "$target" = hadoop ]; then
        command -v curl >/dev/null || { missing+=(curl); packages+=(curl); }
        command -v kinit >/dev/null || { missing+=("Kerberos' tools"); packages+=(krb5-user); }
        [ -x /usr/sbin/krb5kdc ] || { missing+=("a Kerberos KDC"); packages+=(krb5-kdc); }
        [ -x /usr/sbin/kadmin.local ] || { missing+=("a Kerberos KDC's tools"); packages+=(krb5-admin-server); }
    fi
    if [ "$target" = projects ]; then
        command -v gradle >/dev/null || { missing+=(Gradle); packages+=(gradle); }
        command -v git >/dev/null || { missing+=(Git); packages+=(git); }
        [ -x /usr/sbin/sshd ] || [ -x /usr/bin/sshd ] || { missing+=("an ssh server"); packages+=(openssh-server); }
    fi
}

# What apt knows decides between the two that every Flink from 1.16 on runs on.
jdk_package=openjdk-17-jdk-headless
if command -v apt-cache >/dev/null && [ -z "$(apt-cache search --names-only '^openjdk-17-jdk-headless$' 2>/dev/null)" ] &&
    [ -n "$(apt-cache search --names-only '^openjdk-11-jdk-headless$' 2>/dev/null)" ]; then
    jdk_package=openjdk-11-jdk-headless
fi

look
if [ ${#packages[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "system: installing ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq install --yes --no-install-recommends "${packages[@]}"; } >&2 ||
        die "system: apt-get could not install ${packages[*]}"
    look
fi
if [ ${#missing[@]} -gt 0 ]; then
    list="$(printf ', %s' "${missing[@]}")"
    die "missing: ${list:2}; install with: sudo apt-get install ${packages[*]} (or your system's names of them)"
fi

# Debian's own Rust is older than we ask; its rustup, where it has one, brings the current one.
if ! command -v cargo >/dev/null && [ "$(id -u)" = 0 ] && [ -n "$(apt-cache search --names-only '^rustup$' 2>/dev/null || true)" ]; then
    say "system: installing rustup and the stable Rust"
    { DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes rustup && rustup default stable; } >&2 || true
fi
rust="$(rustc --version 2>/dev/null | cut -d' ' -f2 || true)"
[ -n "$rust" ] || die "missing: Rust $rust_wanted or newer; install with: sudo apt-get install rustup && rustup default stable"
at_least "$rust_wanted" "${rust%%-*}" || die "missing: Rust $rust_wanted or newer (this is $rust); install with: rustup update stable"
