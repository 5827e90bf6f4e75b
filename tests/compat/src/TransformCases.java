import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;
import org.apache.kafka.connect.transforms.predicates.Predicate;

/** Transforms and predicates, on records of sources and sinks. */
final class TransformCases {
    private static final List<ObjectNode> CASES = new ArrayList<>();
    private static final List<ObjectNode> RECORDS = new ArrayList<>();

    static List<ObjectNode> all() {
        regexRouter();
        insertField();
        replaceField();
        predicates();
        return CASES;
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
                run("RegexRouter", Map.of("regex", pattern[0], "replacement", pattern[1]), source(topic, null, null, null, "v"));
            }
        }
        for (Map<String, String> config : List.of(Map.<String, String>of(), Map.of("regex", "a"), Map.of("replacement", "a"))) {
            run("RegexRouter", config, source("t", null, null, null, "v"));
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
        records.add(source("t", null, null, row(), struct()));
        records.add(source("t", row(), struct(), row(), struct()));
        records.add(sink("t", row(), struct(), row(), struct()));
        records.add(sink("t", null, map(3), null, map(12)));
        records.add(source("t", null, map(1), null, map(13)));
        records.add(sink("t", null, map(0), null, map(26)));
        records.add(source("t", null, null, null, null));
        records.add(source("t", Schema.STRING_SCHEMA, "key", Schema.STRING_SCHEMA, "text"));
        records.add(source("t", null, "key", null, "text"));
        records.add(source("t", Schema.OPTIONAL_STRING_SCHEMA, null, SchemaBuilder.struct().optional().build(), null));
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
                run("InsertField$Value", config, record);
                if (record.key() != null && config.size() == 1) run("InsertField$Key", config, record);
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
                run("ReplaceField$Value", config, record);
                if (record.key() != null && config.size() == 1) run("ReplaceField$Key", config, record);
            }
        }
    }

    private static void predicates() {
        for (String topic : List.of("topic", "my-topic", "x")) {
            for (String pattern : List.of("topic", ".*topic", "(?i)TOPIC", "")) {
                test("TopicNameMatches", Map.of("pattern", pattern), source(topic, null, null, null, "v"));
            }
        }
        for (String name : List.of("h", "other", "")) {
            test("HasHeaderKey", Map.of("name", name), source("t", null, null, null, "v"));
        }
        test("RecordIsTombstone", Map.of(), source("t", null, null, null, "v"));
        test("RecordIsTombstone", Map.of(), source("t", null, "key", Schema.OPTIONAL_STRING_SCHEMA, null));
    }

    private static SourceRecord source(String topic, Schema keySchema, Object key, Schema schema, Object value) {
        ConnectHeaders headers = new ConnectHeaders();
        headers.addString("h", "1");
        return new SourceRecord(Map.of("p", 1), Map.of("o", 2), topic, key == null ? null : 3, keySchema, key, schema, value, key == null ? null : 1_700_000_000_123L, headers);
    }

    private static SinkRecord sink(String topic, Schema keySchema, Object key, Schema schema, Object value) {
        return new SinkRecord(topic, 4, keySchema, key, schema, value, 99, 1_700_000_000_123L, TimestampType.CREATE_TIME);
    }

    /** Records are written once; cases refer to them by number. */
    private static int define(ConnectRecord<?> record) {
        ObjectNode node = record(record);
        int known = RECORDS.indexOf(node);
        if (known >= 0) return known;
        RECORDS.add(node);
        CASES.add(Fixtures.JSON.objectNode().set("define", node));
        return RECORDS.size() - 1;
    }

    private static ObjectNode record(ConnectRecord<?> record) {
        ObjectNode node = Fixtures.JSON.objectNode();
        node.put("topic", record.topic());
        node.put("partition", record.kafkaPartition());
        node.put("timestamp", record.timestamp());
        if (record instanceof SinkRecord sink) node.put("offset", sink.kafkaOffset());
        node.set("key", Fixtures.data(record.keySchema(), record.key()));
        node.set("value", Fixtures.data(record.valueSchema(), record.value()));
        return node;
    }

    private static void run(String name, Map<String, String> config, ConnectRecord<?> record) {
        ObjectNode node = Fixtures.JSON.objectNode().put("transform", "org.apache.kafka.connect.transforms." + name);
        node.set("config", Fixtures.config(config));
        node.put("record", define(record));
        CASES.add(Fixtures.attempt(node, result -> {
            Transformation<?> transform =
                (Transformation<?>) Class.forName("org.apache.kafka.connect.transforms." + name).getDeclaredConstructor().newInstance();
            try {
                transform.configure(config);
            } catch (Exception error) {
                result.put("stage", "configure");
                throw error;
            }
            java.lang.reflect.Method method = Transformation.class.getMethod("apply", ConnectRecord.class);
            try {
                result.set("result", record((ConnectRecord<?>) method.invoke(transform, record)));
            } catch (java.lang.reflect.InvocationTargetException error) {
                throw (Exception) error.getCause();
            }
        }));
    }

    private static void test(String name, Map<String, String> config, ConnectRecord<?> record) {
        ObjectNode node = Fixtures.JSON.objectNode().put("predicate", "org.apache.kafka.connect.transforms.predicates." + name);
        node.set("config", Fixtures.config(config));
        node.put("record", define(record));
        CASES.add(Fixtures.attempt(node, result -> {
            Predicate<?> predicate =
                (Predicate<?>) Class.forName("org.apache.kafka.connect.transforms.predicates." + name).getDeclaredConstructor().newInstance();
            predicate.configure(config);
            java.lang.reflect.Method method = Predicate.class.getMethod("test", ConnectRecord.class);
            result.put("result", (Boolean) method.invoke(predicate, record));
        }));
    }
}
