#!/usr/bin/env bash
# hadoop.sh VERSION: fetches the jars of Apache Hadoop VERSION with Maven into the cache, once, and prints the folder:
# servers/ is the class path of the daemons, client/ that of the containers. hadoop.py starts a cluster from it.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 1 ] || die "usage: hadoop.sh VERSION, as in hadoop.sh 3.4.2"
version="$1"
home="$CACHE/hadoop/$version"

# One lock for all versions: two Mavens do not share a local repository well.
single hadoop
if [ ! -d "$home" ]; then
    command -v mvn >/dev/null || die "no Maven: run tests/servers/system.sh hadoop"
    say "hadoop $version: downloading (about 150 MB)"
    scratch
    for part in servers client; do
        cp "$SERVERS_DIR/hadoop/$part.xml" "$SCRATCH/$part.xml"
        mvn --quiet --batch-mode --file "$SCRATCH/$part.xml" -Dhadoop.version="$version" \
            dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$SCRATCH/home/$part" >&2 ||
            die "hadoop $version: Maven could not copy the jars of $part"
    done
    compgen -G "$SCRATCH/home/servers/hadoop-yarn-server-nodemanager-*.jar" >/dev/null || die "hadoop $version: no NodeManager came"
    keep "$SCRATCH/home" "$home"
fi
printf '%s\n' "$home"
