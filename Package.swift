// swift-tools-version: 6.2
// The drawing of shared/DESIGN.md, section 2: one target a part, listed so that arrows only point up.
import PackageDescription

let package = Package(
  name: "coterie",
  products: [
    .executable(name: "coterie-server", targets: ["coterie-server"]),
    .executable(name: "coterie-bench", targets: ["coterie-bench"]),
    .executable(name: "coterie-sim", targets: ["coterie-sim"]),
  ],
  targets: [
    // Words: values.
    .systemLibrary(name: "CMemory"),
    .target(name: "Primitives", dependencies: ["CMemory"]),
    .target(name: "Metrics", dependencies: ["Primitives"]),
    .target(name: "RESP", dependencies: ["Primitives"]),
    .target(name: "Objects", dependencies: ["Primitives"]),
    .target(name: "PeerProtocol", dependencies: ["Primitives", "Objects"]),
    .target(name: "Keyspaces", dependencies: ["Primitives", "Objects", "PeerProtocol"]),
    .target(name: "Placement", dependencies: ["Primitives"]),
    .target(name: "Commands", dependencies: ["Primitives", "RESP"]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .target(name: "Access", dependencies: ["CCrypto", "Commands", "Primitives", "RESP"]),

    // Machines: (input, now) → actions.
    .target(name: "Storage", dependencies: ["CMemory", "Primitives", "Objects"]),
    .target(name: "Coordination", dependencies: ["Primitives", "Objects"]),
    .target(name: "Membership", dependencies: ["Primitives", "Objects", "PeerProtocol"]),
    .target(name: "Repair", dependencies: ["Primitives", "Objects"]),

    // Node: one whole cache node with no I/O.
    .target(
      name: "CacheNode",
      dependencies: [
        "Access", "Primitives", "RESP", "Objects", "Keyspaces", "Placement", "Commands",
        "Metrics", "PeerProtocol",
        "Storage", "Coordination", "Membership", "Repair",
      ]),

    // Shells: the only code that touches the kernel.
    .systemLibrary(
      name: "CLibevent", pkgConfig: "libevent_core", providers: [.apt(["libevent-dev"])]),
    .target(
      name: "Configuration",
      dependencies: ["Access", "Primitives", "Objects", "Keyspaces", "CacheNode"]),
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CTLS", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
    .target(name: "Reactor", dependencies: ["CLibevent", "CLinux", "CTLS", "Primitives"]),
    .target(
      name: "Server",
      dependencies: [
        "Access", "CLinux", "CacheNode", "Configuration", "Metrics", "Objects", "Primitives",
        "Reactor",
      ]),

    // The other world a Node can live in.
    .target(
      name: "Simulation",
      dependencies: ["CacheNode", "Keyspaces", "Membership", "Objects", "Primitives"]),

    // Programs.
    .executableTarget(name: "coterie-server", dependencies: ["Server"]),
    .executableTarget(
      name: "coterie-bench", dependencies: ["CLinux", "Placement", "Primitives"]),
    .executableTarget(
      name: "coterie-sim", dependencies: ["CacheNode", "Primitives", "Simulation"]),

    // Tests.
    .testTarget(
      name: "UnitTests",
      dependencies: [
        "Access", "CacheNode", "Commands", "Configuration", "Coordination", "Keyspaces",
        "Membership", "Metrics",
        "Objects", "PeerProtocol", "Placement", "Primitives", "RESP", "Repair", "Storage",
      ]),
    .target(name: "CAllocationCounter", path: "Tests/CAllocationCounter"),
    .testTarget(
      name: "AllocationTests",
      dependencies: ["CAllocationCounter", "CacheNode", "Objects", "Primitives"]),
  ],
  swiftLanguageModes: [.v6]
)

// The hot path crosses targets, and so should the optimizer. It stops at `package` (Swift 6.3 inlines
// no such function into another module, whatever its attributes say, outside library evolution), so
// what targets offer each other is `public`: 30 % of the CPU time of a pipelined GET.
for target in package.targets where target.type != .system {
  target.swiftSettings =
    (target.swiftSettings ?? [])
    + [.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release))]
}

// Set by .ci/run, whose one build is then the one without warnings, too.
if Context.environment["COTERIE_STRICT"] != nil {
  for target in package.targets where target.type != .system {
    target.swiftSettings = (target.swiftSettings ?? []) + [.treatAllWarnings(as: .error)]
  }
}
