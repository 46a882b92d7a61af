import ConfigFiles
import Core
import KafkaClient

/// librdkafka's properties from the configuration, secrets resolved.
enum KafkaSettings {
    static func properties(_ loaded: LoadedConfiguration) throws -> [String: String] {
        guard let kafka = loaded.configuration?.kafka else { return [:] }
        var properties = [
            "bootstrap.servers": kafka.brokers.joined(separator: ","), "group.id": kafka.group,
            "client.id": "alert-router",
        ]
        for (name, value) in kafka.properties {
            do throws(SecretError) {
                properties[name.value] = try value.resolve(loaded.resolver).reveal()
            } catch {
                throw CommandFailure(.inputIsWrong, error.description)
            }
        }
        return properties
    }

    static func configuration(_ loaded: LoadedConfiguration, tokens: (any TokenSource)?) throws -> KafkaConfiguration {
        do {
            return try KafkaConfiguration(properties: try properties(loaded), tokenSource: tokens)
        } catch let error as KafkaError {
            throw CommandFailure(.inputIsWrong, error.description, help: "look at kafka.properties in \(loaded.path)")
        }
    }
}
