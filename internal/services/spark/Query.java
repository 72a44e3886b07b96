// Runs SQL statements, one a line of a file, in one session of Spark, and writes to
// another file for each a line of JSON: its rows as arrays of texts, and how many rows
// its scans of files gave. Standard output is no place for them: the virtual machine
// has its warnings there. Query.java FILE ANSWERS [KEY=VALUE of the session's
// configuration …].
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.classic.SparkSession;
import org.apache.spark.sql.execution.FileSourceScanLike;
import org.apache.spark.sql.execution.SparkPlan;
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2ScanExecBase;
import scala.jdk.javaapi.CollectionConverters;

public class Query {
  public static void main(String[] args) throws Exception {
    SparkSession.Builder builder = SparkSession.builder().appName("query");
    for (int i = 2; i < args.length; i++) {
      int at = args[i].indexOf('=');
      builder.config(args[i].substring(0, at), args[i].substring(at + 1));
    }
    SparkSession spark = builder.getOrCreate();
    PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[1])));
    ObjectMapper json = new ObjectMapper();
    for (String statement : Files.readAllLines(Path.of(args[0]))) {
      Map<String, Object> answer = new HashMap<>();
      try {
        Dataset<Row> result = spark.sql(statement);
        List<List<String>> rows = new ArrayList<>();
        for (Row row : result.collectAsList()) {
          List<String> texts = new ArrayList<>();
          for (int i = 0; i < row.size(); i++) {
            Object v = row.get(i);
            texts.add(v == null ? null : v instanceof BigDecimal d ? d.toPlainString() : v.toString());
          }
          rows.add(texts);
        }
        answer.put("rows", rows);
        answer.put("scanned", scanned(result));
      } catch (Exception e) {
        StringWriter trace = new StringWriter();
        e.printStackTrace(new PrintWriter(trace));
        answer.put("error", trace.toString());
      }
      out.println(json.writeValueAsString(answer));
    }
    out.close();
    if (out.checkError()) {
      throw new IOException("cannot write " + args[1]);
    }
    spark.stop();
  }

  // How many rows the scans of files gave.
  static long scanned(Dataset<Row> result) {
    long rows = 0;
    SparkPlan plan = ((org.apache.spark.sql.classic.Dataset<Row>) result).queryExecution().executedPlan();
    for (SparkPlan leaf : CollectionConverters.asJava(plan.collectLeaves())) {
      if (leaf instanceof FileSourceScanLike || leaf instanceof DataSourceV2ScanExecBase) {
        rows += leaf.metrics().apply("numOutputRows").value();
      }
    }
    return rows;
  }
}
