/**
 * The part of `setup.ps1` that installs a Go SDK from the hub, on Windows alone (elsewhere `setup.sh` does): into the folder and in the layout of
 * `goyi sdk`, checked by the SHA-256 that the hub gives. Whole or not at all: the last step is a rename. The registry is left alone: the present window
 * gets the SDK into its PATH, and the line for the profile is shown.
 */
export const powerShellSdkPart: string = String.raw`
  function Get-Architecture {
    $processor = $env:PROCESSOR_ARCHITEW6432
    if (-not $processor) { $processor = $env:PROCESSOR_ARCHITECTURE }
    switch ($processor) {
      'AMD64' { return 'amd64' }
      'ARM64' { return 'arm64' }
      'x86' { return '386' }
    }
    throw (Text "there is no SDK here for $processor" "本站没有适用于 $processor 的 SDK")
  }

  # The newest first, without "go" before them.
  function Get-Releases([string]$Architecture) {
    $index = Invoke-RestMethod -UseBasicParsing -Uri "$hub/dl/?mode=json&include=all"
    foreach ($release in $index) {
      foreach ($file in $release.files) {
        if ($file.filename -ceq ($release.version + ".windows-$Architecture.zip")) { $release.version.Substring(2) }
      }
    }
  }

  function Get-Origin([string]$File) {
    foreach ($release in (Invoke-RestMethod -UseBasicParsing -Uri "$hub/dl/?mode=json&include=all")) {
      foreach ($one in $release.files) { if ($one.filename -ceq $File) { return $one.origin } }
    }
    return 'official'
  }

  function Select-Release([string]$Wanted, [string[]]$Releases) {
    $bare = $Wanted -creplace '^go', ''
    $stable = @($Releases | Where-Object { $_ -cnotmatch '[a-z]' })
    $lines = @($stable | ForEach-Object { ($_ -split '\.')[0..1] -join '.' } | Select-Object -Unique)
    $line = $bare
    if ((@('latest', 'stable') -ccontains $bare) -and $lines.Count -gt 0) { $line = $lines[0] }
    if ($bare -ceq 'oldstable' -and $lines.Count -gt 1) { $line = $lines[1] }
    if ($line -cmatch '^1\.[0-9]{1,2}$') {
      $found = @($stable | Where-Object { $_ -ceq $line -or $_.StartsWith("$line.", [StringComparison]::Ordinal) })
    } else {
      $found = @($Releases | Where-Object { $_ -ceq $bare })
    }
    if ($found.Count -gt 0) { return $found[0] }
    $asked = ($bare -split '\.')[0..1] -join '.'
    $alike = @($Releases | Where-Object { $_.StartsWith("$asked.", [StringComparison]::Ordinal) })
    $nearest = @(@($alike) + @($stable) | Select-Object -Unique -First 3) -join ', '
    throw (Text "there is no Go $Wanted here; the nearest are $nearest" "没有 Go $Wanted；最接近的是 $nearest")
  }

  # Other bytes than the promised ones are removed and fetched once more.
  function Receive-Archive([string]$Name, [string]$Path) {
    $promised = ([string](Invoke-RestMethod -UseBasicParsing -Uri "$hub/dl/$Name.zip.sha256")).Trim()
    foreach ($attempt in 1, 2) {
      Invoke-WebRequest -UseBasicParsing -Uri "$hub/dl/$Name.zip" -OutFile $Path
      $found = (Get-FileHash -LiteralPath $Path -Algorithm SHA256).Hash.ToLowerInvariant()
      if ($found -ceq $promised) { return $found }
      Remove-Item -LiteralPath $Path -Force
    }
    throw (Text "the archive $Name.zip has the SHA-256 $found where the hub promises $promised, so nothing was installed" "归档 $Name.zip 的 SHA-256 为 $found，而本站给出的是 $promised ，未安装任何内容")
  }

  function Install-Go([string]$Wanted) {
    if (-not $onWindows) { throw (Text "on this system Go is installed by  curl -fsSL $hub/setup.sh | sh -s -- --go $Wanted" "在此系统上请用 curl -fsSL $hub/setup.sh | sh -s -- --go $Wanted 安装 Go") }
    $ProgressPreference = 'SilentlyContinue'
    $architecture = Get-Architecture
    $release = Select-Release $Wanted @(Get-Releases $architecture)
    $name = "go$release.windows-$architecture"
    $root = [IO.Path]::Combine($HOME, '.goyi', 'sdk')
    $folder = [IO.Path]::Combine($root, $name)
    $state.Go = [IO.Path]::Combine($folder, 'bin', 'go.exe')
    if (-not (Test-Path -LiteralPath $state.Go -PathType Leaf)) {
      Say "Go $release goes to $folder" "Go $release 将安装到 $folder"
      if ($DryRun) { return }
      $work = [IO.Path]::Combine($root, 'staging', "setup.$PID")
      [void][IO.Directory]::CreateDirectory($work)
      try {
        $archive = [IO.Path]::Combine($work, 'archive.zip')
        $sha256 = Receive-Archive $name $archive
        Add-Type -AssemblyName System.IO.Compression.FileSystem
        [IO.Compression.ZipFile]::ExtractToDirectory($archive, $work)
        # So that "goyi sdk" knows it.
        $receipt = @{ file = "$name.zip"; sha256 = $sha256; origin = (Get-Origin "$name.zip"); from = $hub; installedAt = [DateTime]::UtcNow.ToString('o') }
        [IO.File]::WriteAllText([IO.Path]::Combine($work, 'go', '.goyi-sdk.json'), (ConvertTo-Json $receipt))
        [IO.Directory]::Move([IO.Path]::Combine($work, 'go'), $folder)
      } finally {
        Remove-Item -LiteralPath $work -Recurse -Force -ErrorAction SilentlyContinue
      }
    }
    if ($DryRun) { return }
    $bin = [IO.Path]::Combine($folder, 'bin')
    $quoted = $bin -replace "'", "''"
    $lines = "Remove-Item Env:GOROOT -ErrorAction SilentlyContinue" + [char]10 + '$env:PATH = ' + "'$quoted'" + ' + [IO.Path]::PathSeparator + $env:PATH' + [char]10
    $file = [IO.Path]::Combine($root, 'setup-env.ps1')
    [IO.File]::WriteAllText($file, $lines)
    . $file
    Say "installed, and in the PATH of this window; to have it in every window, add this line to your profile ($PROFILE):  . '$file'" "已安装，并已加入当前窗口的 PATH；要在每个窗口中使用，请在配置文件（$PROFILE）中加入一行：. '$file'"
  }
`;
