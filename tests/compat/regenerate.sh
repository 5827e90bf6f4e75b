#!/bin/sh
# Runs Apache Kafka Connect's own classes and writes fixtures/*.json.
# Usage: regenerate.sh [FOLDER WITH THE JARS OF KAFKA CONNECT 4.3.1 [SEED TIMES]]
# Without a folder it takes the one that xtask keeps, or else lets Maven resolve one of its own, both in the user's cache.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/barnabas
libs=${1:-$cache/kafka-connect-4.3.1/libs}
if [ $# -eq 0 ] && [ ! -d "$libs" ]; then
    libs=$cache/compat-4.3.1
    if [ ! -d "$libs" ]; then
        echo "Resolving the jars of Kafka Connect into $libs"
        mvn -q -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$libs.partial"
        mv "$libs.partial" "$libs"
    fi
fi
debezium=$cache/compat-debezium-3.6.1
if [ ! -d "$debezium" ]; then
    echo "Resolving the jars of Debezium into $debezium"
    mvn -q -f "$here/debezium.xml" dependency:copy-dependencies -DexcludeGroupIds=org.apache.kafka -DoutputDirectory="$debezium.partial"
    mv "$debezium.partial" "$debezium"
fi
registry=$cache/compat-registry-2.6.13-serdes
if [ ! -d "$registry" ]; then
    echo "Resolving the jars of Apicurio's converter and serializers into $registry"
    mvn -q -f "$here/registry/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$registry.partial"
    mv "$registry.partial" "$registry"
fi
protoc=$cache/compat-protoc-3.25.5
if [ ! -d "$protoc" ]; then
    echo "Resolving Google's Protobuf compiler into $protoc"
    # Google's name for the architecture.
    machine=$(uname -m | sed 's/aarch64/aarch_64/')
    mvn -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory="$protoc.partial" \
        -Dartifact="com.google.protobuf:protoc:3.25.5:exe:linux-$machine"
    mv "$protoc.partial"/*.exe "$protoc.partial/protoc"
    chmod +x "$protoc.partial/protoc"
    mv "$protoc.partial" "$protoc"
fi
classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT
javac -nowarn -d "$classes" -cp "$libs/*:$registry/*" "$here"/src/*.java
java -Dlog4j2.level=OFF -Dprotoc="$protoc/protoc" -Dproto="$here/../../schema-registry/src/protobuf/proto" -cp "$classes:$libs/*:$debezium/*:$registry/*" Fixtures "$here/fixtures" ${2:+"$2" "${3:-1}"}
# What a worker recommends depends on what is on its class path.
java -Dlog4j2.level=OFF -cp "$classes:$libs/*" ValidationCases "$here/fixtures"
