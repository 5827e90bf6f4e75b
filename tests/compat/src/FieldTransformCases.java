import com.fasterxml.jackson.databind.node.ObjectNode;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;

/** The transforms that change, take out or wrap fields. */
final class FieldTransformCases {
    private static final Recorder RECORDER = new Recorder("org.apache.kafka.connect.transforms.");
    private static final String[] TYPES = {"int8", "int16", "int32", "int64", "float32", "float64", "boolean", "string", "STRING", "bytes"};

    static List<ObjectNode> all() {
        cast();
        extractField();
        flatten();
        hoistField();
        maskField();
        setSchemaMetadata();
        valueToKey();
        generated();
        return RECORDER.cases;
    }

    private static Schema everything() {
        return SchemaBuilder.struct().name("Everything").version(3).doc("All types").parameter("p", "1")
            .field("i8", Schema.INT8_SCHEMA).field("i16", Schema.OPTIONAL_INT16_SCHEMA).field("i32", Schema.INT32_SCHEMA)
            .field("i64", Schema.INT64_SCHEMA).field("f32", Schema.FLOAT32_SCHEMA).field("f64", Schema.OPTIONAL_FLOAT64_SCHEMA)
            .field("bool", Schema.BOOLEAN_SCHEMA).field("text", Schema.STRING_SCHEMA).field("bytes", Schema.OPTIONAL_BYTES_SCHEMA)
            .field("decimal", Decimal.schema(2)).field("date", Fixtures.DATE).field("time", Fixtures.TIME).field("timestamp", Fixtures.TIMESTAMP)
            .field("list", SchemaBuilder.array(Schema.STRING_SCHEMA).optional().build())
            .field("map", SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT32_SCHEMA).optional().build())
            .field("struct", SchemaBuilder.struct().optional().field("a", Schema.INT32_SCHEMA).build())
            .field("default", SchemaBuilder.int32().optional().defaultValue(42).build())
            .field("required", SchemaBuilder.string().defaultValue("7").build())
            .build();
    }

    private static Struct everything(String text, double number) {
        Schema schema = everything();
        return new Struct(schema).put("i8", (byte) number).put("i16", (short) number).put("i32", (int) number).put("i64", (long) number)
            .put("f32", (float) number).put("f64", number).put("bool", number > 0).put("text", text).put("bytes", text.getBytes())
            .put("decimal", new BigDecimal("12345678901234567890.12")).put("date", Fixtures.date(86_400_000L * 19_000))
            .put("time", Fixtures.date(3_723_004)).put("timestamp", Fixtures.date(1_700_000_000_123L))
            .put("list", new ArrayList<>(List.of("x"))).put("map", new HashMap<>(Map.of("k", 1))).put("struct", new Struct(schema.field("struct").schema()).put("a", 5));
    }

    private static Map<String, Object> untyped(String text, double number) {
        Map<String, Object> map = new HashMap<>();
        map.put("i8", (byte) number);
        map.put("i16", (short) number);
        map.put("i32", (int) number);
        map.put("i64", (long) number);
        map.put("f32", (float) number);
        map.put("f64", number);
        map.put("bool", number > 0);
        map.put("text", text);
        map.put("bytes", text.getBytes());
        map.put("list", new ArrayList<>(List.of("x", 1)));
        map.put("map", new HashMap<>(Map.of("k", 1)));
        map.put("none", null);
        return map;
    }

    private static Map<String, Object> logical() {
        Map<String, Object> map = new HashMap<>();
        map.put("decimal", new BigDecimal("1.5"));
        map.put("date", Fixtures.date(86_400_000L));
        return map;
    }

    /** Records that no transform of fields takes, or that it leaves alone. */
    private static List<ConnectRecord<?>> others() {
        return List.of(
            Recorder.source("t", null, null, null, null),
            Recorder.source("t", Schema.OPTIONAL_STRING_SCHEMA, null, SchemaBuilder.struct().optional().field("i32", Schema.INT32_SCHEMA).build(), null),
            Recorder.source("t", Schema.STRING_SCHEMA, "12", Schema.STRING_SCHEMA, "text"),
            Recorder.sink("t", null, 12, null, "text"),
            Recorder.source("t", null, new ArrayList<>(), SchemaBuilder.array(Schema.INT32_SCHEMA).build(), new ArrayList<>(List.of(1))));
    }

    private static void each(String name, Map<String, String> config, ConnectRecord<?>... records) {
        List<ConnectRecord<?>> all = new ArrayList<>(List.of(records));
        all.addAll(others());
        RECORDER.run(name + "$Value", config, all);
        RECORDER.run(name + "$Key", config, all);
    }

    private static ConnectRecord<?> typed(String text, double number) {
        return Recorder.source("t", everything(), everything(text, number), everything(), everything(text, number));
    }

    private static ConnectRecord<?> schemaless(String text, double number) {
        return Recorder.sink("t", null, untyped(text, number), null, untyped(text, number));
    }

    /** A record with that field and one other. */
    private static ConnectRecord<?> only(String name, Struct value) {
        SchemaBuilder builder = SchemaBuilder.struct().name("Two").field("other", Schema.INT32_SCHEMA);
        Field field = value.schema().field(name);
        if (field != null) builder.field(name, field.schema());
        Struct struct = new Struct(builder.build()).put("other", 1);
        if (field != null) struct.put(name, value.get(field));
        return Recorder.source("t", null, null, struct.schema(), struct);
    }

    private static ConnectRecord<?> only(String name, Map<String, Object> value) {
        Map<String, Object> map = new HashMap<>();
        map.put("other", 1);
        if (value.containsKey(name)) map.put(name, value.get(name));
        return Recorder.sink("t", null, null, null, map);
    }

    private static void cast() {
        String[] fields = {"i8", "i16", "i32", "i64", "f32", "f64", "bool", "text", "bytes", "decimal", "date", "time", "timestamp", "list", "map", "struct", "default", "required", "none", "missing"};
        for (String type : TYPES) {
            for (String field : fields) {
                Map<String, String> config = Map.of("spec", field + ":" + type);
                RECORDER.run("Cast$Value", config, only(field, everything("12", 200.75)), only(field, everything("-0", -1e10)), only(field, untyped("300", 3e9)), Recorder.source("t", null, null, null, logical()));
            }
            each("Cast", Map.of("spec", type));
            for (Object value : List.of((byte) 7, (short) 700, 70_000, 7_000_000_000L, 1.5f, -2.75, true, "1", "text".getBytes(), new ArrayList<>(List.of(1)), new HashMap<>(Map.of("a", 1)), new BigDecimal("3.7"), Fixtures.date(5))) {
                RECORDER.run("Cast$Value", Map.of("spec", type), Recorder.sink("t", null, null, null, value));
            }
            RECORDER.run("Cast$Value", Map.of("spec", type),
                Recorder.sink("t", null, null, SchemaBuilder.int32().optional().name("N").version(2).defaultValue(300).build(), 5),
                Recorder.sink("t", null, null, SchemaBuilder.string().defaultValue("9").build(), "8"),
                Recorder.sink("t", null, null, SchemaBuilder.string().optional().defaultValue("x").build(), "8"),
                Recorder.sink("t", null, null, Fixtures.TIMESTAMP, Fixtures.date(90_000_000)),
                Recorder.sink("t", null, null, Fixtures.DATE, Fixtures.date(86_400_000)),
                Recorder.sink("t", null, null, Decimal.schema(1), new BigDecimal("-70000.5")));
        }
        for (String text : List.of("", " 1", "1 ", "+5", "-", "127", "128", "32768", "2147483648", "9223372036854775808", "1.5", "1e3", "NaN", "-Infinity", "1f", "1d", "0x10", "TRUE", "true ", "nan", "inf", "1e400", ".5", "5.")) {
            for (String type : TYPES) {
                RECORDER.run("Cast$Value", Map.of("spec", type), Recorder.sink("t", null, null, Schema.STRING_SCHEMA, text));
            }
        }
        for (double number : new double[] {Double.NaN, Double.POSITIVE_INFINITY, -1e300, 0.5, -0.0, 1e-10, 123456.125, 3e9, 65_537}) {
            for (String type : TYPES) {
                RECORDER.run("Cast$Value", Map.of("spec", type), Recorder.sink("t", null, null, Schema.FLOAT64_SCHEMA, number), Recorder.sink("t", null, null, Schema.FLOAT32_SCHEMA, (float) number));
            }
        }
        for (String decimal : List.of("0", "0E+80", "1E+20", "12345678901234567890123456789.9", "-129", "-1E-10", "255.999")) {
            for (String type : TYPES) {
                BigDecimal value = new BigDecimal(decimal);
                RECORDER.run("Cast$Value", Map.of("spec", type), Recorder.sink("t", null, null, Decimal.schema(value.scale()), value));
            }
        }
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of("spec", ""), Map.of("spec", "int9"), Map.of("spec", "a:int9"), Map.of("spec", "a:b:c"), Map.of("spec", "int8,int16"),
                Map.of("spec", "int8,a:int16"), Map.of("spec", "array"), Map.of("spec", "a:struct"), Map.of("spec", " i8 : INT64 , text:Int16"), Map.of("spec", "i8:"),
                Map.of("spec", ":int8"), Map.of("spec", "i8:string,i16:string,i32:string,zz:int8,yy:int8,bool:int8"), Map.of("spec", "i8:int8,i8:string"),
                Map.of("spec", "default:int64,required:int8", "replace.null.with.default", "false"), Map.of("spec", "default:boolean"), Map.of("spec", "i8:int64", "replace.null.with.default", "x"))) {
            RECORDER.run("Cast$Value", config, typed("5", 5), schemaless("5", 5));
        }
    }

    private static Struct nested(boolean full) {
        Schema inner = SchemaBuilder.struct().optional().field("c.d", Schema.STRING_SCHEMA).field("n", SchemaBuilder.int32().optional().defaultValue(3).build()).build();
        Schema middle = SchemaBuilder.struct().optional().field("b", inner).field("x", Schema.OPTIONAL_INT64_SCHEMA).build();
        Schema outer = SchemaBuilder.struct().field("a", middle).field("a.b", Schema.OPTIONAL_STRING_SCHEMA).field("t", Schema.STRING_SCHEMA).build();
        Struct value = new Struct(outer).put("t", "t").put("a.b", "dotted");
        if (full) value.put("a", new Struct(middle).put("x", 1L).put("b", new Struct(inner).put("c.d", "deep")));
        return value;
    }

    private static Map<String, Object> nestedMap() {
        // Put one by one: `Map.of` has another order in each run.
        Map<String, Object> inner = new HashMap<>();
        inner.put("c.d", "deep");
        inner.put("list", new ArrayList<>(List.of(1)));
        Map<String, Object> middle = new HashMap<>();
        middle.put("b", inner);
        middle.put("e", new HashMap<>());
        Map<String, Object> outer = new HashMap<>();
        outer.put("a", middle);
        outer.put("a.b", "dotted");
        outer.put("null", null);
        outer.put("t", "t");
        return outer;
    }

    private static void extractField() {
        for (String path : List.of("a", "a.b", "t", "a.b.n", "a.b.`c.d`", "`a.b`", "a.x", "t.x", "missing", "a.missing", "missing.a", "`a", "a.`b", "`a`b`", "null", "null.x", "a.e.f", "`a\\`.b`")) {
            for (String version : List.of("V1", "V2", "v2")) {
                Map<String, String> config = Map.of("field", path, "field.syntax.version", version);
                for (Struct value : List.of(nested(true), nested(false))) {
                    RECORDER.run("ExtractField$Value", config, Recorder.sink("t", null, null, value.schema(), value));
                }
                RECORDER.run("ExtractField$Value", config, Recorder.sink("t", null, null, null, nestedMap()));
            }
        }
        for (Map<String, String> config : List.of(Map.<String, String>of(), Map.of("field", "default"), Map.of("field", "default", "replace.null.with.default", "false"), Map.of("field", "i32"), Map.of("field", ""), Map.of("field", "a", "field.syntax.version", "V3"), Map.of("field", "a", "field.syntax.version", ""))) {
            each("ExtractField", config, typed("x", 1), schemaless("x", 1));
        }
    }

    private static void flatten() {
        for (String delimiter : List.of(".", "_", "", "--")) {
            Map<String, String> config = Map.of("delimiter", delimiter);
            for (Struct value : List.of(nested(true), nested(false))) {
                RECORDER.run("Flatten$Value", config, Recorder.sink("t", null, null, value.schema(), value));
            }
            each("Flatten", config, Recorder.sink("t", null, nestedMap(), null, nestedMap()), typed("x", 1), schemaless("x", 1), Recorder.sink("t", null, null, null, logical()));
        }
        Schema plain = SchemaBuilder.struct().field("s", SchemaBuilder.struct().optional().field("r", Schema.STRING_SCHEMA).field("d", SchemaBuilder.string().defaultValue("dd").build()).build())
            .field("l", SchemaBuilder.array(Schema.INT32_SCHEMA).name("List").build()).field("c", Decimal.builder(3).optional().build()).build();
        Struct value = new Struct(plain).put("l", List.of(1, 2));
        RECORDER.run("Flatten$Value", Map.of(), Recorder.sink("t", null, null, plain, value), Recorder.sink("t", null, null, plain, new Struct(plain)));
        value.put("s", new Struct(plain.field("s").schema()).put("r", "r"));
        RECORDER.run("Flatten$Value", Map.of(), Recorder.sink("t", null, null, plain, value));
        Map<String, Object> odd = new HashMap<>();
        odd.put("s", value);
        RECORDER.run("Flatten$Value", Map.of(), Recorder.sink("t", null, null, null, odd));
    }

    private static void hoistField() {
        for (Map<String, String> config : List.of(Map.<String, String>of(), Map.of("field", "f"), Map.of("field", ""), Map.of("field", "ü"))) {
            each("HoistField", config, typed("x", 1), schemaless("x", 1), Recorder.sink("t", Schema.STRING_SCHEMA, null, Schema.OPTIONAL_STRING_SCHEMA, null));
        }
    }

    private static void maskField() {
        String[] fields = {"i8", "i16", "i32", "i64", "f32", "f64", "bool", "text", "bytes", "decimal", "date", "time", "timestamp", "list", "map", "struct", "default", "required", "none", "missing"};
        for (String field : fields) {
            for (String replacement : new String[] {null, "7", "-300.75", "text", "1e30", "NaN", " 5 "}) {
                Map<String, String> config = new HashMap<>(Map.of("fields", field));
                if (replacement != null) config.put("replacement", replacement);
                RECORDER.run("MaskField$Value", config, only(field, everything("12", 200.75)), only(field, untyped("300", 3e9)), Recorder.source("t", null, null, null, logical()));
            }
        }
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of("fields", ""), Map.of("fields", "a,a"), Map.of("fields", "a,"), Map.of("fields", "i8", "replacement", ""), Map.of("fields", "i8,text,zz,yy,xx,i16"),
                Map.of("fields", "default", "replace.null.with.default", "false"), Map.of("fields", "i8", "replace.null.with.default", "false"))) {
            each("MaskField", config, typed("5", 5), schemaless("5", 5));
        }
    }

    private static void setSchemaMetadata() {
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of("schema.name", "New"), Map.of("schema.version", "9"), Map.of("schema.name", "New", "schema.version", "-1"), Map.of("schema.version", "x"),
                Map.of("schema.name", ""), Map.of("schema.name", "New", "replace.null.with.default", "false"))) {
            each("SetSchemaMetadata", config, typed("x", 1), schemaless("x", 1), Recorder.sink("t", null, null, SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT32_SCHEMA).build(), new HashMap<>()));
        }
        Schema optional = SchemaBuilder.struct().optional().field("d", SchemaBuilder.int32().optional().defaultValue(1).build()).build();
        for (String replace : List.of("true", "false")) {
            RECORDER.run("SetSchemaMetadata$Value", Map.of("schema.name", "N", "replace.null.with.default", replace), Recorder.sink("t", null, null, optional, new Struct(optional)));
        }
    }

    private static void valueToKey() {
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of("fields", ""), Map.of("fields", "i32"), Map.of("fields", "text,i8,i16,bytes,default,struct,list"), Map.of("fields", "missing"), Map.of("fields", "a,a"),
                Map.of("fields", "default,required"), Map.of("fields", "default", "replace.null.with.default", "false"), Map.of("fields", "required", "replace.null.with.default", "false"))) {
            List<ConnectRecord<?>> all = new ArrayList<>(List.of(typed("x", 1), schemaless("x", 1)));
            all.addAll(others());
            RECORDER.run("ValueToKey", config, all);
        }
    }

    /** Names of some of the fields that the value has. */
    private static List<String> some(Random random, Object value) {
        List<String> names = new ArrayList<>();
        if (value instanceof Struct struct) {
            for (Field field : struct.schema().fields()) names.add(field.name());
        } else if (value instanceof Map<?, ?> map) {
            for (Object key : map.keySet()) if (key instanceof String name) names.add(name);
        }
        // Those that survive as items of a list.
        names.removeIf(name -> name.isEmpty() || name.contains(",") || name.contains(":") || !name.equals(name.trim()));
        List<String> chosen = new ArrayList<>();
        for (String name : names) if (random.chance(40)) chosen.add(name);
        if (random.chance(10)) chosen.add("missing");
        return chosen;
    }

    private static void generated() {
        Random random = new Random(77);
        for (int i = 0; i < 60 * Fixtures.times; i++) {
            Schema schema = null;
            Object value = null;
            if (random.chance(60)) {
                do schema = random.schema(3); while (schema.type() != Schema.Type.STRUCT && random.chance(80));
                value = random.value(schema, true);
            } else {
                do value = random.schemaless(3); while (!(value instanceof Map) && random.chance(80));
            }
            ConnectRecord<?> record = random.chance(50) ? Recorder.source("t", null, null, schema, value) : Recorder.sink("t", null, null, schema, value);
            String replace = random.chance(70) ? "true" : "false";
            List<String> names = some(random, value);
            StringJoiner casts = new StringJoiner(",");
            for (String name : names) casts.add(name + ":" + TYPES[random.below(9)]);
            if (!names.isEmpty()) {
                String fields = String.join(",", names);
                RECORDER.run("Cast$Value", Map.of("spec", casts.toString(), "replace.null.with.default", replace), record);
                RECORDER.run("MaskField$Value", Map.of("fields", fields, "replace.null.with.default", replace), record);
                RECORDER.run("MaskField$Value", Map.of("fields", fields, "replacement", random.chance(70) ? "" + random.below(1000) : "x"), record);
                RECORDER.run("ReplaceField$Value", Map.of("exclude", fields, "replace.null.with.default", replace), record);
                RECORDER.run("ReplaceField$Value", Map.of("renames", names.get(0) + ":renamed", "replace.null.with.default", replace), record);
                RECORDER.run("ValueToKey", Map.of("fields", fields, "replace.null.with.default", replace), record);
                RECORDER.run("ExtractField$Value", Map.of("field", names.get(0), "replace.null.with.default", replace), record);
            }
            RECORDER.run("Cast$Value", Map.of("spec", TYPES[random.below(9)]), record);
            RECORDER.run("Flatten$Value", Map.of("delimiter", random.chance(50) ? "." : "_"), record);
            RECORDER.run("HoistField$Value", Map.of("field", "hoisted"), record);
            RECORDER.run("InsertField$Value", Map.of("topic.field", "inserted topic", "replace.null.with.default", replace), record);
            RECORDER.run("SetSchemaMetadata$Value", Map.of("schema.name", "dev.example.New", "replace.null.with.default", replace), record);
        }
    }
}
