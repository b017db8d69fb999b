package evenkeel;

import com.netflix.appinfo.ApplicationInfoManager;
import com.netflix.appinfo.InstanceInfo.InstanceStatus;
import com.netflix.discovery.DiscoveryClient;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;
import org.springframework.boot.web.client.RestTemplateBuilder;
import org.springframework.cloud.commons.util.InetUtils;
import org.springframework.cloud.commons.util.InetUtilsProperties;
import org.springframework.cloud.netflix.eureka.EurekaClientConfigBean;
import org.springframework.cloud.netflix.eureka.EurekaInstanceConfigBean;
import org.springframework.cloud.netflix.eureka.InstanceInfoFactory;
import org.springframework.cloud.netflix.eureka.RestTemplateTimeoutProperties;
import org.springframework.cloud.netflix.eureka.http.DefaultEurekaClientHttpRequestFactorySupplier;
import org.springframework.cloud.netflix.eureka.http.RestTemplateDiscoveryClientOptionalArgs;
import org.springframework.cloud.netflix.eureka.http.RestTemplateTransportClientFactories;

/**
 * Instances that register by Netflix's own client over Spring Cloud's transport. Its standard input says what to do, a
 * command a line: `register APP ID PORT`, `status ID STATUS`, `shutdown ID`; each is answered by one line. It ends with its
 * input, without a word to the server. Arguments: the server's URL, the seconds between two beats, and those after
 * which an instance without one is evicted.
 */
public class Client {
  record Instance(ApplicationInfoManager info, DiscoveryClient client) {}

  public static void main(String[] args) throws Exception {
    var instances = new HashMap<String, Instance>();
    var input = new BufferedReader(new InputStreamReader(System.in));
    for (var line = input.readLine(); line != null; line = input.readLine()) {
      var words = line.split(" ");
      try {
        switch (words[0]) {
          case "register" -> instances.put(words[2], register(args, words[1], words[2], Integer.parseInt(words[3])));
          case "status" -> instances.get(words[1]).info.setInstanceStatus(InstanceStatus.valueOf(words[2]));
          case "shutdown" -> instances.remove(words[1]).client.shutdown();
          default -> throw new IllegalArgumentException(line);
        }
        System.out.println("ok");
      } catch (Exception error) {
        System.out.println("failed: " + error);
      }
    }
    Runtime.getRuntime().halt(0);
  }

  static Instance register(String[] args, String app, String id, int port) {
    var config = new EurekaInstanceConfigBean(new InetUtils(new InetUtilsProperties()));
    config.setAppname(app);
    config.setVirtualHostName(app.toLowerCase());
    config.setSecureVirtualHostName(app.toLowerCase());
    config.setInstanceId(id);
    config.setHostname("localhost");
    config.setIpAddress("127.0.0.1");
    config.setNonSecurePort(port);
    config.setInstanceEnabledOnit(true);
    config.setLeaseRenewalIntervalInSeconds(Integer.parseInt(args[1]));
    config.setLeaseExpirationDurationInSeconds(Integer.parseInt(args[2]));
    var client = new EurekaClientConfigBean();
    client.setServiceUrl(Map.of(EurekaClientConfigBean.DEFAULT_ZONE, args[0]));
    client.setFetchRegistry(false);
    client.setShouldEnforceRegistrationAtInit(true);
    client.setInitialInstanceInfoReplicationIntervalSeconds(1);
    client.setInstanceInfoReplicationIntervalSeconds(1);
    var info = new ApplicationInfoManager(config, new InstanceInfoFactory().create(config));
    // Netflix's own transport stumbles over the 404 of a Spring server that has forgotten it, and never registers again.
    var http = new DefaultEurekaClientHttpRequestFactorySupplier(new RestTemplateTimeoutProperties());
    var transport = new RestTemplateDiscoveryClientOptionalArgs(http, RestTemplateBuilder::new);
    return new Instance(
        info, new DiscoveryClient(info, client, new RestTemplateTransportClientFactories(transport), transport));
  }
}
