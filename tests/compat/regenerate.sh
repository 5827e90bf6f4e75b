#!/bin/sh
# Runs Apache Kafka Connect's own classes and writes fixtures/*.json.
# Usage: regenerate.sh [FOLDER WITH THE JARS OF KAFKA CONNECT 4.3.1]; without one, Maven gets them into the user's cache.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
libs=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/barnabas/kafka-connect-4.3.1/libs}
if ! ls "$libs"/connect-file-*.jar >/dev/null 2>&1; then
    echo "Resolving the jars of Kafka Connect into $libs"
    mvn -q -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$libs"
fi
classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT
javac -nowarn -d "$classes" -cp "$libs/*" "$here"/src/*.java
java -cp "$classes:$libs/*" Fixtures "$here/fixtures"
