import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.Importance;
import org.apache.kafka.common.config.ConfigDef.Type;
import org.apache.kafka.common.config.ConfigDef.Width;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.connector.policy.AllConnectorClientConfigOverridePolicy;
import org.apache.kafka.connect.file.FileStreamSinkConnector;
import org.apache.kafka.connect.file.FileStreamSourceConnector;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.runtime.Worker;
import org.apache.kafka.connect.runtime.isolation.Plugins;
import org.apache.kafka.connect.runtime.rest.entities.ConfigInfos;
import org.apache.kafka.connect.runtime.standalone.StandaloneConfig;
import org.apache.kafka.connect.runtime.standalone.StandaloneHerder;
import org.apache.kafka.connect.source.SourceConnector;
import org.apache.kafka.connect.storage.FileOffsetBackingStore;

/**
 * What a worker of Apache Kafka Connect answers to PUT /connector-plugins/X/config/validate. It runs on its own class path: what
 * is recommended are the plugins on it. The documentation of keys is left out.
 */
public final class ValidationCases {
    private static final String TRANSFORMS = "org.apache.kafka.connect.transforms.";
    private static final String CONVERTERS = "org.apache.kafka.connect.converters.";

    /** A definition with everything that a definition can have. */
    public static final class ModelConnector extends SourceConnector {
        private static final class Sizes implements ConfigDef.Recommender {
            @Override
            public List<Object> validValues(String name, Map<String, Object> parsed) {
                return "b".equals(parsed.get("mode")) ? new ArrayList<>(List.of(1, 2, 4)) : new ArrayList<>();
            }

            @Override
            public boolean visible(String name, Map<String, Object> parsed) {
                return "b".equals(parsed.get("mode"));
            }
        }

        private static final class Names implements ConfigDef.Recommender {
            @Override
            public List<Object> validValues(String name, Map<String, Object> parsed) {
                return new ArrayList<>(List.of(parsed.get("mode") + "-" + parsed.get("b.size")));
            }

            @Override
            public boolean visible(String name, Map<String, Object> parsed) {
                return true;
            }
        }

        @Override
        public ConfigDef config() {
            return new ConfigDef()
                .define("mode", Type.STRING, "a", ConfigDef.ValidString.in("a", "b"), Importance.HIGH, "doc", "Mode", 1, Width.MEDIUM, "The mode", List.of("b.size", "b.name"))
                .define("b.size", Type.INT, 1, ConfigDef.Range.between(1, 10), Importance.MEDIUM, "doc", "Mode", 2, Width.SHORT, "The size", new Sizes())
                .define("b.name", Type.STRING, null, new ConfigDef.NonEmptyString(), Importance.LOW, "doc", "Mode", 3, Width.LONG, "The name", new Names())
                .define("secret", Type.PASSWORD, Importance.HIGH, "doc")
                .define("old.secret", Type.PASSWORD, "hunter1", Importance.LOW, "doc")
                .define("ratio", Type.DOUBLE, 0.5, ConfigDef.Range.between(0, 1), Importance.LOW, "doc")
                .define("flag", Type.BOOLEAN, false, Importance.LOW, "doc", "Flags", 7, Width.NONE, "A flag")
                .define("long", Type.LONG, 5L, ConfigDef.Range.atLeast(0), Importance.LOW, "doc")
                .define("short", Type.SHORT, (short) 3, Importance.LOW, "doc")
                .define("list", Type.LIST, List.of("x", "y"), Importance.MEDIUM, "doc")
                .define("parent", Type.STRING, "p", null, Importance.LOW, "doc", "Flags", 8, Width.NONE, "A parent", List.of("nowhere"));
        }

        @Override
        public void start(Map<String, String> config) { }

        @Override
        public Class<? extends Task> taskClass() {
            return null;
        }

        @Override
        public List<Map<String, String>> taskConfigs(int max) {
            return List.of();
        }

        @Override
        public void stop() { }

        @Override
        public String version() {
            return "7";
        }
    }

    /** A worker that does not ask a Kafka for its name. */
    private static final class Config extends StandaloneConfig {
        Config(Map<String, String> properties) {
            super(properties);
        }

        @Override
        public String kafkaClusterId() {
            return "cluster";
        }
    }

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final List<ObjectNode> CASES = new ArrayList<>();
    private static final Map<Class<?>, Map<String, JsonNode>> FIRST = new HashMap<>();
    private static StandaloneHerder herder;

    public static void main(String[] arguments) throws Exception {
        Map<String, String> properties = new HashMap<>(Map.of(
            "bootstrap.servers", "none:9", "offset.storage.file.filename", "none",
            "key.converter", "org.apache.kafka.connect.storage.StringConverter",
            "value.converter", "org.apache.kafka.connect.json.JsonConverter"));
        Config config = new Config(properties);
        Plugins plugins = new Plugins(properties);
        plugins.compareAndSwapWithDelegatingLoader();
        AllConnectorClientConfigOverridePolicy policy = new AllConnectorClientConfigOverridePolicy();
        Worker worker = new Worker("worker", Time.SYSTEM, plugins, config, new FileOffsetBackingStore(new JsonConverter()), policy);
        herder = new StandaloneHerder(worker, "cluster", policy);
        sources();
        sinks();
        transforms();
        converters();
        models();
        StringBuilder text = new StringBuilder("[\n");
        for (int i = 0; i < CASES.size(); i++) {
            text.append(MAPPER.writeValueAsString(CASES.get(i))).append(i + 1 < CASES.size() ? ",\n" : "\n");
        }
        Files.writeString(Path.of(arguments[0]).resolve("validation.json"), text.append("]\n"));
        System.out.println("validation.json: " + CASES.size() + " cases");
        System.exit(0);
    }

    private static void check(Class<?> connector, String... entries) throws Exception {
        Map<String, String> config = new TreeMap<>();
        config.put("connector.class", connector.getName());
        config.put("name", "n");
        if (connector == FileStreamSourceConnector.class) config.put("topic", "t");
        if (connector == FileStreamSinkConnector.class) config.put("topics", "t");
        if (connector == ModelConnector.class) config.put("secret", "hunter2");
        for (int i = 0; i < entries.length; i += 2) {
            if (entries[i + 1] == null) {
                config.remove(entries[i]);
            } else {
                config.put(entries[i], entries[i + 1]);
            }
        }
        ObjectNode node = MAPPER.createObjectNode();
        node.set("config", MAPPER.valueToTree(config));
        CompletableFuture<ConfigInfos> answer = new CompletableFuture<>();
        herder.validateConnectorConfig(config, (error, infos) -> {
            if (error == null) {
                answer.complete(infos);
            } else {
                answer.completeExceptionally(error);
            }
        }, false);
        try {
            ObjectNode infos = MAPPER.valueToTree(answer.get(30, TimeUnit.SECONDS));
            for (JsonNode info : infos.get("configs")) {
                if (info.get("definition") instanceof ObjectNode definition) {
                    if (definition.get("documentation").asText().isEmpty()) throw new IllegalStateException(definition.toString());
                    definition.remove("documentation");
                }
            }
            // What is as in the connector's first case is there by name only.
            Map<String, JsonNode> first = FIRST.computeIfAbsent(connector, any -> new HashMap<>());
            boolean isFirst = first.isEmpty();
            ArrayNode names = node.putArray("names");
            ArrayNode different = MAPPER.createArrayNode();
            for (JsonNode info : infos.get("configs")) {
                String name = info.get("value").get("name").asText();
                names.add(name);
                if (!info.equals(first.get(name))) different.add(info);
                if (isFirst) first.put(name, info);
            }
            infos.set("configs", different);
            node.set("infos", infos);
        } catch (java.util.concurrent.ExecutionException error) {
            node.put("error", String.valueOf(error.getCause().getMessage()));
        }
        CASES.add(node);
    }

    private static void sources() throws Exception {
        Class<?> source = FileStreamSourceConnector.class;
        check(source);
        check(source, "connector.class", "FileStreamSource", "file", "/f", "batch.size", "5", "tasks.max", "3");
        check(source, "name", null, "topic", null, "tasks.max", "x", "batch.size", "many");
        check(source, "name", "", "topic", "", "tasks.max", "0");
        check(source, "errors.tolerance", "some", "errors.retry.timeout", "soon", "errors.log.enable", "maybe", "config.action.reload", "x");
        check(source, "exactly.once.support", "maybe", "transaction.boundary", "x", "transaction.boundary.interval.ms", "-1", "offsets.storage.topic", "");
        check(source, "topic.creation.groups", "a,a", "tasks.max.enforce", "x");
        check(source, "connector.class", null);
        check(source, "connector.class", "no.Such");
        check(source, "producer.override.linger.ms", "5");
    }

    private static void sinks() throws Exception {
        Class<?> sink = FileStreamSinkConnector.class;
        check(sink);
        check(sink, "file", "/f", "topics", "a, b", "errors.deadletterqueue.topic.name", "d");
        check(sink, "topics", null);
        check(sink, "topics.regex", "a.*");
        check(sink, "topics", null, "topics.regex", "(");
        check(sink, "topics", "a,d", "errors.deadletterqueue.topic.name", "d");
        check(sink, "topics", null, "topics.regex", "d.*", "errors.deadletterqueue.topic.name", "dead");
        check(sink, "errors.deadletterqueue.topic.replication.factor", "x", "errors.deadletterqueue.context.headers.enable", "x");
    }

    private static void transforms() throws Exception {
        Class<?> source = FileStreamSourceConnector.class;
        // Every class without a key of its own.
        List<String> all = new ArrayList<>();
        List<String> names = List.of("Cast", "ExtractField", "Flatten", "HeaderFrom", "HoistField", "InsertField", "MaskField",
            "ReplaceField", "SetSchemaMetadata", "TimestampConverter");
        for (String name : names) all.addAll(List.of(name + "$Key", name + "$Value"));
        all.addAll(List.of("DropHeaders", "Filter", "InsertHeader", "RegexRouter", "TimestampRouter", "ValueToKey"));
        for (String name : all) {
            check(source, "transforms", "t", "transforms.t.type", TRANSFORMS + name);
        }
        for (String name : List.of("HasHeaderKey", "RecordIsTombstone", "TopicNameMatches")) {
            check(source, "predicates", "p", "predicates.p.type", TRANSFORMS + "predicates." + name);
        }
        String[] both = {"transforms", "route,drop", "transforms.route.type", TRANSFORMS + "RegexRouter", "transforms.route.regex", "a.*",
            "transforms.route.replacement", "b", "transforms.drop.type", TRANSFORMS + "Filter", "transforms.drop.predicate", "p",
            "transforms.drop.negate", "true", "predicates", "p", "predicates.p.type", TRANSFORMS + "predicates.TopicNameMatches",
            "predicates.p.pattern", "a.*"};
        check(source, both);
        check(FileStreamSinkConnector.class, both);
        check(source, "transforms", "a,a", "transforms.a.type", TRANSFORMS + "Filter");
        check(source, "transforms", "t");
        check(source, "transforms", "t", "transforms.t.type", "NoSuch");
        check(source, "predicates", "p", "predicates.p.type", "NoSuch");
        check(source, "transforms", "t", "transforms.t.type", "RegexRouter", "transforms.t.regex", "(", "transforms.t.replacement", "b");
        check(source, "transforms", "t", "transforms.t.type", TRANSFORMS + "HoistField$Value", "transforms.t.field", "f", "transforms.t.negate", "true");
        check(source, "transforms", "t", "transforms.t.type", TRANSFORMS + "HoistField$Value", "transforms.t.field", "f", "transforms.t.negate", "maybe", "transforms.t.predicate", "p",
            "predicates", "p", "predicates.p.type", TRANSFORMS + "predicates.RecordIsTombstone");
        check(source, "transforms", "t", "transforms.t.type", TRANSFORMS + "Cast$Value", "transforms.t.spec", "a:nonsense", "transforms.t.replace.null.with.default", "x");
        check(source, "transforms", "t", "transforms.t.type", TRANSFORMS + "Cast$Value", "transforms.t.spec", "a:int8");
    }

    private static void converters() throws Exception {
        Class<?> source = FileStreamSourceConnector.class;
        List<String> all = new ArrayList<>();
        for (String name : List.of("Boolean", "Short", "Integer", "Long", "Float", "Double", "ByteArray")) all.add(CONVERTERS + name + "Converter");
        all.addAll(List.of("org.apache.kafka.connect.storage.StringConverter", "org.apache.kafka.connect.json.JsonConverter"));
        for (String converter : all) {
            check(source, "key.converter", converter, "value.converter", converter, "header.converter", converter);
        }
        check(source, "header.converter", "org.apache.kafka.connect.storage.SimpleHeaderConverter");
        check(source, "key.converter", "NoSuch", "header.converter", "NoSuch");
        check(source, "value.converter", "JsonConverter", "value.converter.schemas.enable", "maybe", "value.converter.schemas.cache.size", "x", "value.converter.decimal.format", "y");
        check(source, "value.converter", "org.apache.kafka.connect.storage.StringConverter", "value.converter.converter.type", "z");
        check(source, "value.converter", "JsonConverter", "value.converter.schemas.enable", "false");
    }

    private static void models() throws Exception {
        Class<?> model = ModelConnector.class;
        check(model);
        check(model, "mode", "b", "b.size", "4", "b.name", "x", "ratio", "1", "flag", "true", "list", "a, b");
        check(model, "mode", "c", "b.size", "11", "b.name", "", "secret", null, "ratio", "2", "long", "-1", "short", "99999", "flag", "no");
        check(model, "ratio", "x", "long", "x", "b.size", "x");
    }
}
