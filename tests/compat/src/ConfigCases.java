import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigValue;
import org.apache.kafka.connect.file.FileStreamSinkConnector;
import org.apache.kafka.connect.file.FileStreamSourceConnector;
import org.apache.kafka.connect.json.JsonConverterConfig;
import org.apache.kafka.connect.runtime.SinkConnectorConfig;
import org.apache.kafka.connect.runtime.SourceConnectorConfig;
import org.apache.kafka.connect.storage.StringConverterConfig;
import org.apache.kafka.connect.transforms.Cast;
import org.apache.kafka.connect.transforms.DropHeaders;
import org.apache.kafka.connect.transforms.ExtractField;
import org.apache.kafka.connect.transforms.Flatten;
import org.apache.kafka.connect.transforms.HeaderFrom;
import org.apache.kafka.connect.transforms.HoistField;
import org.apache.kafka.connect.transforms.InsertField;
import org.apache.kafka.connect.transforms.InsertHeader;
import org.apache.kafka.connect.transforms.MaskField;
import org.apache.kafka.connect.transforms.RegexRouter;
import org.apache.kafka.connect.transforms.ReplaceField;
import org.apache.kafka.connect.transforms.SetSchemaMetadata;
import org.apache.kafka.connect.transforms.TimestampConverter;
import org.apache.kafka.connect.transforms.TimestampRouter;
import org.apache.kafka.connect.transforms.ValueToKey;

/** Parsing and validation of configurations, and the definitions themselves. */
final class ConfigCases {
    private static Map<String, ConfigDef> defs() {
        Map<String, ConfigDef> defs = new LinkedHashMap<>();
        defs.put("source", SourceConnectorConfig.configDef());
        defs.put("sink", SinkConnectorConfig.configDef());
        defs.put("file-source", new FileStreamSourceConnector().config());
        defs.put("file-sink", new FileStreamSinkConnector().config());
        defs.put("json", JsonConverterConfig.configDef());
        defs.put("string", StringConverterConfig.configDef());
        defs.put("InsertField", InsertField.CONFIG_DEF);
        defs.put("ReplaceField", ReplaceField.CONFIG_DEF);
        defs.put("RegexRouter", RegexRouter.CONFIG_DEF);
        defs.put("Cast$Value", Cast.CONFIG_DEF);
        defs.put("DropHeaders", DropHeaders.CONFIG_DEF);
        defs.put("ExtractField$Value", ExtractField.CONFIG_DEF);
        defs.put("Flatten$Value", Flatten.CONFIG_DEF);
        defs.put("HeaderFrom$Value", HeaderFrom.CONFIG_DEF);
        defs.put("HoistField$Value", HoistField.CONFIG_DEF);
        defs.put("InsertHeader", InsertHeader.CONFIG_DEF);
        defs.put("MaskField$Value", MaskField.CONFIG_DEF);
        defs.put("SetSchemaMetadata$Value", SetSchemaMetadata.CONFIG_DEF);
        defs.put("TimestampConverter$Value", TimestampConverter.CONFIG_DEF);
        defs.put("TimestampRouter", TimestampRouter.CONFIG_DEF);
        defs.put("ValueToKey", ValueToKey.CONFIG_DEF);
        return defs;
    }

    static List<ObjectNode> definitions() {
        List<ObjectNode> cases = new ArrayList<>();
        defs().forEach((name, def) -> {
            for (ConfigDef.ConfigKey key : new TreeMap<>(def.configKeys()).values()) {
                ObjectNode node = Fixtures.JSON.objectNode().put("def", name).put("key", key.name);
                node.put("type", key.type.toString());
                node.put("required", !key.hasDefault());
                node.put("default", key.hasDefault() ? ConfigDef.convertToString(key.defaultValue, key.type) : null);
                node.put("importance", key.importance.toString());
                // Some print the address of an object.
                String validator = key.validator == null ? null : key.validator.toString();
                node.put("validator", validator != null && validator.contains("@") ? null : validator);
                cases.add(node);
            }
        });
        return cases;
    }

    static List<ObjectNode> all() {
        Map<String, ConfigDef> defs = defs();
        List<ObjectNode> cases = new ArrayList<>();
        String[][] single = {
            {"source", "tasks.max", "1", " 2 ", "0", "-1", "x", "", "1.5", "2147483648", "+3", "1e3", "0x1"},
            {"source", "name", "n", "", "a\nb", " n ", "\u0007"},
            {"source", "errors.tolerance", "none", "all", "ALL", ""},
            {"source", "errors.retry.timeout", "5", "x", "-1", "99999999999"},
            {"source", "errors.log.enable", "true", "TRUE", "false", "yes", ""},
            {"source", "config.action.reload", "none", "x"},
            {"source", "transforms", "", "a", "a,b", "a, b ,c", "a,a", ",", "a,"},
            {"source", "exactly.once.support", "REQUIRED", "requested", "x"},
            {"source", "transaction.boundary", "poll", "Interval", "x"},
            {"source", "transaction.boundary.interval.ms", "0", "-1", "x"},
            {"source", "offsets.storage.topic", "t", ""},
            {"source", "topic.creation.groups", "a,a", "a"},
            {"source", "tasks.max.enforce", "false", "x"},
            {"sink", "errors.deadletterqueue.topic.replication.factor", "1", "x", "40000", "-1"},
            {"sink", "errors.deadletterqueue.context.headers.enable", "true", "1"},
            {"sink", "topics", "a, b", ""},
            {"sink", "topics.regex", "a.*", "("},
            {"file-source", "topic", "t", "", " "},
            {"file-source", "batch.size", "1", "x", "0"},
            {"json", "schemas.cache.size", "10", "x"},
            {"json", "decimal.format", "numeric", "Base64", "hex"},
            {"json", "schemas.enable", "no"},
            {"ReplaceField", "renames", "a:b", "a", "a:b:c"},
        };
        for (String[] row : single) {
            for (int i = 2; i < row.length; i++) {
                Map<String, String> config = new HashMap<>();
                config.put(row[1], row[i]);
                ObjectNode node = Fixtures.JSON.objectNode().put("def", row[0]).put("key", row[1]).put("value", row[i]);
                ConfigDef def = defs.get(row[0]);
                cases.add(Fixtures.attempt(node, result -> {
                    for (ConfigValue value : def.validate(config)) {
                        if (value.name().equals(row[1])) {
                            ArrayNode errors = result.putArray("errors");
                            value.errorMessages().forEach(errors::add);
                            Object parsed = value.value();
                            result.put("parsed", parsed == null ? null : ConfigDef.convertToString(parsed, def.configKeys().get(row[1]).type));
                        }
                    }
                }));
            }
        }
        for (String name : List.of("source", "file-source", "RegexRouter")) {
            ObjectNode node = Fixtures.JSON.objectNode().put("def", name).put("missing", true);
            ArrayNode errors = node.putArray("errors");
            TreeMap<String, String> sorted = new TreeMap<>();
            for (ConfigValue value : defs.get(name).validate(Map.of())) {
                if (!value.errorMessages().isEmpty()) sorted.put(value.name(), value.errorMessages().get(0));
            }
            sorted.values().forEach(errors::add);
            cases.add(node);
        }
        return cases;
    }
}
