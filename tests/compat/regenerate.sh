#!/bin/sh
# Runs Apache Kafka Connect's own classes and writes fixtures/*.json.
#
# Usage: regenerate.sh [CONNECT [SEED TIMES]]
#
# CONNECT is the folder with the jars of Kafka Connect 4.3.1; DEBEZIUM_LIBS and REGISTRY_LIBS name those of Debezium and of
# the Avro converter. What is not given is resolved by Maven, from the poms beside this script, and kept in the user's cache.
# `cargo xtask compat` gives all three. FIXTURES names another folder to write to.
set -eu
# The fixtures of the repository are those of this JDK: later ones print some floating point numbers with fewer digits.
jdk=17
# One order of files and one encoding on every machine.
LC_ALL=C.UTF-8
export LC_ALL

fail() {
    echo "regenerate.sh: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
[ $# -le 1 ] || [ $# -eq 3 ] || fail "give the folder of the jars alone, or with a seed and a number of times"
for program in java javac; do
    command -v "$program" >/dev/null || fail "there is no $program; install a JDK $jdk"
done
version=$(javac -version 2>&1 | sed 's/^javac \([0-9]*\).*/\1/')
case $version in
    '' | *[!0-9]*) fail "cannot read the version of javac from: $(javac -version 2>&1)" ;;
esac
[ "$version" -ge "$jdk" ] || fail "javac is of JDK $version; JDK $jdk is needed"
[ "$version" -eq "$jdk" ] || echo "regenerate.sh: this is JDK $version; the fixtures of the repository are those of JDK $jdk" >&2

# resolve NAME POM: prints the folder with the jars that the pom depends on. The folder is named after the pom's content, and
# is there only when it is complete.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/barnabas
resolve() {
    folder=$cache/compat-$1-$(cksum <"$2" | cut -d ' ' -f 1)
    if [ ! -d "$folder" ]; then
        command -v mvn >/dev/null || fail "there is no mvn, which fetches the jars of $1"
        echo "Resolving the jars of $1 into $folder" >&2
        mkdir -p "$cache/partial"
        partial=$(mktemp -d "$cache/partial/compat-$1.XXXXXX")
        mvn -q --batch-mode --no-transfer-progress -Dstyle.color=never -f "$2" \
            org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
            -DincludeScope=runtime ${3:+"-DexcludeGroupIds=$3"} "-DoutputDirectory=$partial" >&2 ||
            { rm -rf "$partial"; fail "Maven cannot resolve $2"; }
        mv "$partial" "$folder"
    fi
    echo "$folder"
}

# has FOLDER PATTERN: fails when the folder lacks such a jar.
has() {
    ls "$1"/$2 >/dev/null 2>&1 || fail "$1 has no $2"
}

connect=${1:-}
[ -n "$connect" ] || connect=$(resolve connect "$here/pom.xml")
debezium=${DEBEZIUM_LIBS:-$(resolve debezium "$here/debezium.xml" org.apache.kafka)}
registry=${REGISTRY_LIBS:-$(resolve registry "$here/registry/pom.xml" org.apache.kafka)}
has "$connect" 'connect-runtime-4.3.1.jar'
has "$debezium" 'debezium-connector-common-3.6.1.Final.jar'
has "$registry" 'apicurio-registry-utils-converter-2.6.13.Final.jar'

# Google's Protobuf compiler, which Maven Central has under Google's names for the architectures.
protoc=$cache/compat-protoc-3.25.5
if [ ! -d "$protoc" ]; then
    echo "Fetching Google's Protobuf compiler into $protoc" >&2
    mkdir -p "$cache/partial"
    partial=$(mktemp -d "$cache/partial/compat-protoc.XXXXXX")
    mvn -q --batch-mode --no-transfer-progress org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
        "-DoutputDirectory=$partial" \
        "-Dartifact=com.google.protobuf:protoc:3.25.5:exe:linux-$(uname -m | sed 's/aarch64/aarch_64/')" >&2 ||
        { rm -rf "$partial"; fail "Maven cannot fetch the Protobuf compiler"; }
    mv "$partial"/*.exe "$partial/protoc"
    chmod +x "$partial/protoc"
    mv "$partial" "$protoc"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/classes" "$work/fixtures"
# Messages of ours, which theirs read.
cp "$here/fixtures/wire-ours.json" "$work/fixtures/"
javac -encoding UTF-8 -nowarn -d "$work/classes" -cp "$connect/*:$registry/*" "$here"/src/*.java
java -Dlog4j2.level=OFF -Dfile.encoding=UTF-8 -Duser.timezone=UTC -Duser.language=en -Duser.country=US \
    "-Dprotoc=$protoc/protoc" "-Dproto=$here/../../schema-registry/src/protobuf/proto" \
    -cp "$work/classes:$connect/*:$debezium/*:$registry/*" Fixtures "$work/fixtures" ${2:+"$2" "$3"}
# What a worker recommends depends on what is on its class path.
java -Dlog4j2.level=OFF -Dfile.encoding=UTF-8 -Duser.timezone=UTC -Duser.language=en -Duser.country=US \
    -cp "$work/classes:$connect/*" ValidationCases "$work/fixtures"

# All or nothing: what failed on its way leaves the fixtures as they were.
fixtures=${FIXTURES:-$here/fixtures}
mkdir -p "$fixtures"
for file in "$fixtures"/*.json; do
    [ ! -e "$file" ] || [ -e "$work/fixtures/${file##*/}" ] || fail "${file##*/} is not made any more; delete it"
done
cp "$work"/fixtures/*.json "$fixtures/"
