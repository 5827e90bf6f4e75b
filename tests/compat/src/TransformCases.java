import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;

/** Transforms and predicates, on records of sources and sinks. */
final class TransformCases {
    private static final Recorder RECORDER = new Recorder("org.apache.kafka.connect.transforms.");

    static List<ObjectNode> all() {
        regexRouter();
        insertField();
        replaceField();
        predicates();
        return RECORDER.cases;
    }

    private static void regexRouter() {
        String[][] patterns = {
            {"(.*)", "$1-copy"}, {"a|ab", "X"}, {"db\\.(\\w+)\\.(\\w+)", "$2.$1"}, {"(?<name>.*)-v(\\d+)", "${name}_$2"}, {"topic", "\\$lit\\\\"},
            {"(t)(o)(p)(i)(c)", "$12$51"}, {"no-match", "x"}, {"", "x"}, {"(?i)TOPIC", "y"}, {"\\Qa.b\\E", "quoted"}, {"a.b", "dot"},
            {"(?!db).*", "look$0"}, {"(a)?topic", "<$1>"}, {"topic", "$1"}, {"topic", "${x}"}, {"topic", "$"}, {"topic", "a\\"}, {"topic", "$x"},
            {"[\\w.]+", "all"}, {"\\p{Alpha}+", "alpha"}, {"t.*+", "possessive"}, {"(\\w)\\w*\\1", "back"}, {"topic", ""}, {".*", "$0$0"}
        };
        for (String[] pattern : patterns) {
            for (String topic : List.of("topic", "ab", "db.shop.orders", "users-v12", "a.b", "aXb", "tt")) {
                RECORDER.run("RegexRouter", Map.of("regex", pattern[0], "replacement", pattern[1]), Recorder.source(topic, null, null, null, "v"));
            }
        }
        for (Map<String, String> config : List.of(Map.<String, String>of(), Map.of("regex", "a"), Map.of("replacement", "a"))) {
            RECORDER.run("RegexRouter", config, Recorder.source("t", null, null, null, "v"));
        }
    }

    private static Schema row() {
        return SchemaBuilder.struct().name("Row").version(2).doc("A row").parameter("p", "1")
            .field("id", Schema.INT64_SCHEMA)
            .field("name", Schema.OPTIONAL_STRING_SCHEMA)
            .field("kind", SchemaBuilder.string().optional().defaultValue("none").build())
            .build();
    }

    private static Struct struct() {
        return new Struct(row()).put("id", 1L).put("name", "n");
    }

    private static Map<String, Object> map(int size) {
        Map<String, Object> map = new HashMap<>();
        for (int i = 0; i < size; i++) map.put("field-" + i * 31, i % 3 == 0 ? null : (long) i);
        return map;
    }

    private static List<ConnectRecord<?>> records() {
        List<ConnectRecord<?>> records = new ArrayList<>();
        records.add(Recorder.source("t", null, null, row(), struct()));
        records.add(Recorder.source("t", row(), struct(), row(), struct()));
        records.add(Recorder.sink("t", row(), struct(), row(), struct()));
        records.add(Recorder.sink("t", null, map(3), null, map(12)));
        records.add(Recorder.source("t", null, map(1), null, map(13)));
        records.add(Recorder.sink("t", null, map(0), null, map(26)));
        records.add(Recorder.source("t", null, null, null, null));
        records.add(Recorder.source("t", Schema.STRING_SCHEMA, "key", Schema.STRING_SCHEMA, "text"));
        records.add(Recorder.source("t", null, "key", null, "text"));
        records.add(Recorder.source("t", Schema.OPTIONAL_STRING_SCHEMA, null, SchemaBuilder.struct().optional().build(), null));
        return records;
    }

    private static void insertField() {
        List<Map<String, String>> configs = List.of(
            Map.of("topic.field", "topic"), Map.of("partition.field", "p"), Map.of("offset.field", "offset!"), Map.of("timestamp.field", "ts?"),
            Map.of("static.field", "s", "static.value", "constant"), Map.of("static.value", "s"), Map.of(),
            Map.of("topic.field", "a!", "partition.field", "b!", "offset.field", "c", "timestamp.field", "d!", "static.field", "e!", "static.value", "x"),
            Map.of("topic.field", "a", "partition.field", "b", "timestamp.field", "d", "replace.null.with.default", "false"),
            Map.of("topic.field", "id"), Map.of("topic.field", "x", "replace.null.with.default", "maybe"));
        for (Map<String, String> config : configs) {
            for (ConnectRecord<?> record : records()) {
                RECORDER.run("InsertField$Value", config, record);
                if (record.key() != null && config.size() == 1) RECORDER.run("InsertField$Key", config, record);
            }
        }
    }

    private static void replaceField() {
        List<Map<String, String>> configs = List.of(
            Map.of(), Map.of("exclude", "name"), Map.of("include", "name,id"), Map.of("renames", "id:key,name:title"), Map.of("renames", "id:name,name:id"),
            Map.of("exclude", "id", "include", "id,name", "renames", "name:n"), Map.of("renames", "id"), Map.of("renames", "a:b:c"), Map.of("renames", "id:"), Map.of("renames", ":x"),
            Map.of("exclude", "field-0,field-31", "renames", "field-62:x,missing:y"), Map.of("replace.null.with.default", "false"), Map.of("exclude", " name , kind "),
            Map.of("include", "nothing"), Map.of("renames", "id:name"), Map.of("renames", "id:name", "exclude", "id"), Map.of("renames", "kind:name", "exclude", "kind"));
        for (Map<String, String> config : configs) {
            for (ConnectRecord<?> record : records()) {
                RECORDER.run("ReplaceField$Value", config, record);
                if (record.key() != null && config.size() == 1) RECORDER.run("ReplaceField$Key", config, record);
            }
        }
    }

    private static void predicates() {
        for (String topic : List.of("topic", "my-topic", "x")) {
            for (String pattern : List.of("topic", ".*topic", "(?i)TOPIC", "")) {
                RECORDER.test("TopicNameMatches", Map.of("pattern", pattern), Recorder.source(topic, null, null, null, "v"));
            }
        }
        for (String name : List.of("h", "other", "")) {
            RECORDER.test("HasHeaderKey", Map.of("name", name), Recorder.source("t", null, null, null, "v"));
        }
        RECORDER.test("RecordIsTombstone", Map.of(), Recorder.source("t", null, null, null, "v"));
        RECORDER.test("RecordIsTombstone", Map.of(), Recorder.source("t", null, "key", Schema.OPTIONAL_STRING_SCHEMA, null));
    }
}
