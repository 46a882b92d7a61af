internal import Foundation

/// Where the files that come with the program are: sample tables and sample rules.
public enum SampleFiles {
    /// What the build writes beside the program.
    static let bundleName = "alert-router_Sandbox.resources"

    /// The folder of the sample tables; nil where they were not installed.
    public static var tables: String? { folder("Samples") }
    /// The folder of the sample rules; nil where they were not installed.
    public static var rules: String? { folder("rules") }

    private static func folder(_ name: String) -> String? {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        return folder(name, besideProgramIn: program.path)
    }

    /// Looks beside the program, as built, and in `../share/alert-router`, as installed.
    static func folder(_ name: String, besideProgramIn programFolder: String) -> String? {
        let program = URL(fileURLWithPath: programFolder)
        let places = [
            program.appendingPathComponent(bundleName),
            program.deletingLastPathComponent().appendingPathComponent("share/alert-router"),
        ]
        return places.map { $0.appendingPathComponent(name).path }.first { path in
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
        }
    }
}
