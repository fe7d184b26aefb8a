/// What this source tree is a version of.
package enum Release {
  /// By semantic versioning; packages and `--version` show it.
  package static let version = "0.1.0"
}
